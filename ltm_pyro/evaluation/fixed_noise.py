r"""Fixed-noise protocol of the paper's released code, which is not a bound.

A single draw of the noise serves all fast steps and the reported number, so that (mu, sigma) are fitted to that
draw. The protocol is here so that published numbers can be compared with numbers of the same kind.

The rows are mu, which starts at 0, and :math:`\log \sigma^2`, which starts at -5. AdamW moves both, with its default
moments and weight decay, which is a hidden prior on them, at the rates

.. math:: \eta_s = \eta \left(0.1 + 0.9 \cdot \tfrac12 \left(1 + \cos \tfrac{\pi s}{S}\right)\right),
          \quad s = 0 \dots S - 1, \quad \eta = 0.34

so that the last step is taken before the cosine reaches its minimum. If the decoder ignores its thoughts, 16 steps
lead to :math:`\log \sigma^2 = -1.759`, which costs 0.466 nats a dimension.
"""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.bounds import ELBO, FixedNoise
from ltm_pyro.freezing import frozen
from ltm_pyro.guides import AbstractGuide
from ltm_pyro.guides.moments import moments

START = -5.0  # of log sigma²
RATE, FINAL_FRACTION = 0.34, 0.1
DECAY = 0.01


class LogVarianceGuide(AbstractGuide):
    r"""Diagonal Gaussian whose rows are its mean and :math:`\log \sigma^2`, as in the paper's released code.

    `MeanFieldGuide` holds :math:`\log \sigma`: the same step of Adam moves its variances twice as far. This guide
    starts at mean 0, whatever the prior.
    """

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        mean, _ = moments(prior, x.device)
        self.rows = len(x)
        self.mu = mean.new_zeros(len(x), *self.z_shape).requires_grad_()
        self.log_variance = torch.full_like(self.mu, START).requires_grad_()

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_variance]

    def posterior(self) -> Distribution:
        return dist.Normal(self.mu, (0.5 * self.log_variance).exp()).to_event(3)


def fixed_noise_cost(model: Any, z_shape: tuple[int, int, int], steps: int, seed: int, **batch: Any) -> Tensor:
    """Cost of a batch under the released code's protocol, nats per sequence, shape (B,). Not a bound.

    Args:
        model: a model with thoughts.
        z_shape: (L, K, D).
        steps: S, fast steps; T_fast of the training in the released code.
        seed: seed of the single draw of noise.
        batch: the model's arguments.
    """
    guide, objective = LogVarianceGuide(z_shape), FixedNoise(ELBO(), seed)
    guide.start(batch["x"], prior=model.prior())
    optimizer = torch.optim.AdamW(guide.local_parameters(), weight_decay=DECAY)
    with torch.enable_grad(), frozen(model.parameters()):
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = learning_rate(step, steps)
            optimizer.zero_grad()
            (-objective.terms(model, guide, **batch).objective.sum()).backward()
            optimizer.step()
    with torch.no_grad():
        return -objective.terms(model, guide, **batch).objective


def learning_rate(step: int, steps: int) -> float:
    """Learning rate of a step, counted from 0."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return RATE * (FINAL_FRACTION + (1 - FINAL_FRACTION) * cosine)
