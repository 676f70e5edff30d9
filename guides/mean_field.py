"""The mean-field Gaussian guide of the paper."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.guides.gaussian import AbstractGaussianGuide
from ltm_pyro.guides.natural import precision_factor
from ltm_pyro.ranges import POSITIVE, bounded


class MeanFieldGuide(AbstractGaussianGuide):
    r"""Mean-field (diagonal) Gaussian, :math:`q(z) = \mathcal{N}(\mu, \mathrm{diag}(\sigma^2))`, for each sequence.

    The guide starts at the prior, where its KL is zero. (The paper's code starts at sigma = 0.082, and its 16 steps are
    too few to move far from there: give `sigma` to start elsewhere.)

    Args:
        z_shape: (L, K, D).
        sigma: the initial standard deviation; None takes the prior's. The mean starts at the prior's.

    Raises:
        InputError: if sigma is not positive.
    """

    log_sigma: Tensor

    @bounded(sigma=POSITIVE)
    def __init__(self, z_shape: tuple[int, int, int], sigma: float | None = None) -> None:
        super().__init__(z_shape)
        if sigma is not None and not sigma > 0:
            raise InputError(f"sigma={sigma}: the guide's starting standard deviation must be positive")
        self.sigma = sigma

    def begin(self, sigma: Tensor) -> None:
        sigma = sigma if self.sigma is None else torch.full_like(sigma, self.sigma)
        self.log_sigma = sigma.log().requires_grad_()

    def posterior(self) -> dist.Distribution:
        return dist.Normal(self.mu, self.log_sigma.exp()).to_event(3)

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_sigma]

    @torch.no_grad()
    def natural_step(self, rate: float) -> None:
        assert self.mu.grad is not None
        assert self.log_sigma.grad is not None
        self.log_sigma.sub_(0.5 * precision_factor(self.log_sigma.grad, rate).log())
        self.mu.sub_(rate * (2 * self.log_sigma).exp() * self.mu.grad)

    @torch.no_grad()
    def natural_norm(self) -> Tensor:
        assert self.mu.grad is not None
        assert self.log_sigma.grad is not None
        squares = (self.log_sigma.exp() * self.mu.grad).square() + 0.5 * self.log_sigma.grad.square()
        return squares.flatten(1).sum(1)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, sigma={'the prior' if self.sigma is None else self.sigma}"
