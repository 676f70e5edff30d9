"""The leanest loop that can be written by hand on the same decoder: no Pyro, no modules of the library besides."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ltm_pyro.models import Decoder

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


class LeanLoop:
    """`DualRateSVI.step` with `MeanFieldGuide`, a standard normal prior and the `ELBO`, in equations.

    The gradient of the KL and the way from z to (mu, log sigma) are written down, so that automatic differentiation
    serves the decoder alone; Adam on both moves one tensor.

    Args:
        decoder: learns.
        steps: fast steps.
        rate: of the first fast step; a cosine leads to a tenth of it.
        slow_rate: of the slow step.
    """

    def __init__(self, decoder: Decoder, steps: int = 16, rate: float = 0.3, slow_rate: float = 4e-4) -> None:
        self.decoder, self.steps = decoder, steps
        self.rates = [rate * (0.1 + 0.45 * (1 + math.cos(math.pi * s / max(1, steps - 1)))) for s in range(steps)]
        self.weights = list(decoder.parameters())
        groups = [
            {"params": [w for w in self.weights if w.dim() >= 2], "weight_decay": 0.1},
            {"params": [w for w in self.weights if w.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=slow_rate, betas=(0.9, 0.95), fused=True)

    def step(self, x: Tensor) -> Tensor:
        """Fit q to a batch, then move the weights; the ELBO before that, in nats per sequence, shape (B,)."""
        return self.learn(x, self.fit(x))

    def fit(self, x: Tensor) -> Tensor:
        """mu and log sigma of every sequence, shape (2, B, L, K, D)."""
        decoder = self.decoder
        for weight in self.weights:
            weight.requires_grad_(False)
        with torch.no_grad():
            prefix = decoder.prefix_states(decoder.inputs(x))
        q, slope, mean, square = torch.zeros(4, 2, len(x), *decoder.z_shape)
        for step, rate in enumerate(self.rates, 1):
            noise = torch.randn(len(x), *decoder.z_shape)
            sigma = q[1].exp()
            z = torch.addcmul(q[0], sigma, noise).requires_grad_()
            (along,) = torch.autograd.grad(decoder.token_log_prob(x, z, prefix=prefix).sum(), z)
            torch.sub(q[0], along, out=slope[0])  # the KL's gradient is mu
            torch.addcmul(sigma.square().sub_(1), sigma.mul_(noise), along, value=-1, out=slope[1])  # and sigma² - 1
            _adam(q, slope, mean, square, step, rate)
        for weight in self.weights:
            weight.requires_grad_(True)
        return q

    def learn(self, x: Tensor, q: Tensor) -> Tensor:
        """The slow step, as `SlowStep` takes it."""
        (mu, log_sigma), sigma = q, q[1].exp()
        z = torch.addcmul(mu, sigma, torch.randn_like(mu))
        nats = self.decoder.token_log_prob(x, z).sum(-1)
        self.optimizer.zero_grad()
        (-nats.sum() / x.numel()).backward()
        norm = nn.utils.clip_grad_norm_(self.weights, 1.0)
        if not torch.isfinite(norm):
            raise ArithmeticError("the gradient is not finite")
        self.optimizer.step()
        kl = 0.5 * (mu.square() + sigma.square() - 1 - 2 * log_sigma).sum((1, 2, 3))
        return nats.detach() - kl


def _adam(q: Tensor, slope: Tensor, mean: Tensor, square: Tensor, step: int, rate: float) -> None:
    first, second = BETAS
    mean.lerp_(slope, 1 - first)
    square.mul_(second).addcmul_(slope, slope, value=1 - second)
    root = square.sqrt().div_(math.sqrt(1 - second**step)).add_(EPSILON)
    q.addcdiv_(mean, root, value=-rate / (1 - first**step))
