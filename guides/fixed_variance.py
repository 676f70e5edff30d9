"""A posterior that is as wide as it is told."""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.guides.gaussian import AbstractGaussianGuide
from ltm_pyro.ranges import POSITIVE, bounded


class FixedVarianceGuide(AbstractGaussianGuide):
    r"""Gaussian of one fixed width, :math:`q(z) = \mathcal{N}(\mu, \sigma^2 I)`: the mean alone is fitted.

    For priors that learn from samples of q, such as `DiffusionPrior`: q cannot shrink to points, so that what such a
    prior has to learn keeps its scale, and the decoder stays used to thoughts that are slightly wrong. LatentLM's
    sigma-VAE (Sun et al., 2024, arXiv 2412.08635) takes the width from the encoder for the same reason, and draws it
    for every sample, :math:`\sigma \sim \mathcal{N}(0, C_\sigma)`. Here all sequences have the same: the density
    stays a Gaussian one, and the ELBO is a bound as it always is.

    It starts at the prior's mean. There its KL is not zero, unless sigma is the prior's: with N(0, I) it is
    :math:`\tfrac12(\sigma^2 - 1) - \log\sigma` nats a dimension, which no fit can win back.

    Args:
        z_shape: (L, K, D).
        sigma: the standard deviation of every dimension; None takes the prior's.

    Raises:
        InputError: if sigma is not positive.
    """

    width: Tensor

    @bounded(sigma=POSITIVE)
    def __init__(self, z_shape: tuple[int, int, int], sigma: float | None = 0.5) -> None:
        super().__init__(z_shape)
        if sigma is not None and not 0 < sigma < math.inf:
            raise InputError(f"sigma={sigma}: expected a positive standard deviation, or null for the prior's")
        self.sigma = sigma

    def begin(self, sigma: Tensor) -> None:
        self.width = sigma if self.sigma is None else torch.full_like(sigma, self.sigma)

    def posterior(self) -> dist.Distribution:
        return dist.Normal(self.mu, self.width).to_event(3)

    def local_parameters(self) -> list[Tensor]:
        return [self.mu]

    @torch.no_grad()
    def natural_step(self, rate: float) -> None:
        assert self.mu.grad is not None
        self.mu.sub_(rate * self.width**2 * self.mu.grad)

    @torch.no_grad()
    def natural_norm(self) -> Tensor:
        assert self.mu.grad is not None
        return (self.width * self.mu.grad).square().flatten(1).sum(1)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, sigma={'the prior' if self.sigma is None else self.sigma}"
