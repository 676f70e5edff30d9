"""A Gaussian guide of fixed width."""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.guides.gaussian import AbstractGaussianGuide
from ltm_pyro.ranges import POSITIVE, bounded


class FixedVarianceGuide(AbstractGaussianGuide):
    r"""Gaussian of fixed variance, :math:`q(z) = \mathcal{N}(\mu, \sigma^2 I)`: only the mean is fitted.

    For priors that learn from samples of q, such as `DiffusionPrior`: q cannot shrink to points, so that the prior's
    targets keep their scale, and the decoder stays robust to noise in the thoughts. LatentLM's sigma-VAE (Sun et al.,
    2024, arXiv 2412.08635) fixes the width outside of the encoder for the same reason, and samples it,
    :math:`\sigma \sim \mathcal{N}(0, C_\sigma)`. Here sigma is the same for all sequences: q stays Gaussian, and the
    ELBO a bound.

    The guide starts at the prior's mean. Unless sigma is the prior's, its KL there is not zero: with N(0, I) it is
    :math:`\tfrac12(\sigma^2 - 1) - \log\sigma` nats a dimension, below which no fit can go.

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
