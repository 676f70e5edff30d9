"""Dual-rate learning as a straightforward loop."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from benchmarks.reference.decoder import PlainDecoder


class PlainLoop:
    """One batch: T_fast steps of Adam on (mu, log sigma), then one of AdamW on the weights.

    As in the paper's code every backward pass goes through everything, the weights included; unlike there, what the
    fast steps leave in the weights' gradients is dropped before the slow step, noise is fresh at each step, and q
    starts at the prior: the mathematics is that of algorithm 1.

    Args:
        decoder: learns.
        steps: T_fast.
        rate: of the first fast step; a cosine leads to a tenth of it.
        slow_rate: of the slow step.
    """

    def __init__(self, decoder: PlainDecoder, steps: int = 16, rate: float = 0.3, slow_rate: float = 4e-4) -> None:
        self.decoder, self.steps, self.rate = decoder, steps, rate
        matrices = [weight for weight in decoder.parameters() if weight.dim() >= 2]
        others = [weight for weight in decoder.parameters() if weight.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=slow_rate, betas=(0.9, 0.95))

    def step(self, x: Tensor) -> Tensor:
        """Fit q to a batch, then move the weights; the ELBO before that, in nats per sequence, shape (B,)."""
        mu, log_sigma = self.fit(x)
        return self.learn(x, mu.detach(), log_sigma.detach())

    def learn(self, x: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
        """The slow step at a fitted q; the ELBO before it, shape (B,)."""
        elbo = self.elbo(x, mu, log_sigma)
        self.optimizer.zero_grad()
        (-elbo.sum() / x.numel()).backward()
        nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self.optimizer.step()
        return elbo.detach()

    def fit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma of every sequence, shape (B, L, K, D) each."""
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
        """With one fresh sample of z, in nats per sequence, shape (B,)."""
        z = mu + log_sigma.exp() * torch.randn_like(mu)
        kl = 0.5 * (mu**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum((1, 2, 3))
        return self.decoder(x, z).sum(1) - kl
