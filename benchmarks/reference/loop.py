"""Straightforward loop of dual-rate learning."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from benchmarks.reference.decoder import PlainDecoder


class PlainLoop:
    """Dual-rate loop: for each batch, T_fast steps of Adam on (mu, log sigma), then one of AdamW on the weights.

    As in the paper's code, every backward pass computes all gradients, those of the weights included. Unlike there, the
    weights' gradients from the fast steps are dropped before the slow step, noise is fresh at each step, and q starts
    at the prior, as in algorithm 1 of the paper.

    Args:
        decoder: the decoder to train.
        steps: T_fast.
        rate: learning rate of the first fast step; a cosine schedule leads to a tenth of it.
        slow_rate: learning rate of the slow step.
    """

    def __init__(self, decoder: PlainDecoder, steps: int = 16, rate: float = 0.3, slow_rate: float = 4e-4) -> None:
        self.decoder, self.steps, self.rate = decoder, steps, rate
        matrices = [weight for weight in decoder.parameters() if weight.dim() >= 2]
        vectors = [weight for weight in decoder.parameters() if weight.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=slow_rate, betas=(0.9, 0.95))

    def step(self, x: Tensor) -> Tensor:
        """Fit q to a batch, then update the weights; returns the ELBO before the update, nats, shape (B,)."""
        mu, log_sigma = self.fit(x)
        return self.learn(x, mu.detach(), log_sigma.detach())

    def learn(self, x: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
        """Slow step at a fitted q; returns the ELBO before it, shape (B,)."""
        elbo = self.elbo(x, mu, log_sigma)
        self.optimizer.zero_grad()
        (-elbo.sum() / x.numel()).backward()
        nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self.optimizer.step()
        return elbo.detach()

    def fit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Fit q; returns mu and log sigma of every sequence, shape (B, L, K, D) each."""
        mu = torch.zeros(len(x), *self.decoder.z_shape, requires_grad=True, device=x.device)
        log_sigma = torch.zeros_like(mu, requires_grad=True)
        optimizer = torch.optim.Adam([mu, log_sigma], lr=self.rate)
        for step in range(self.steps):
            cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, self.steps - 1)))
            for group in optimizer.param_groups:
                group["lr"] = self.rate * (0.1 + 0.9 * cosine)
            optimizer.zero_grad()
            (-self.elbo(x, mu, log_sigma).sum()).backward()
            optimizer.step()
        return mu, log_sigma

    def elbo(self, x: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
        """ELBO with one fresh sample of z, nats per sequence, shape (B,)."""
        z = mu + log_sigma.exp() * torch.randn_like(mu)
        kl = 0.5 * (mu**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum((1, 2, 3))
        return self.decoder(x, z).sum(1) - kl
