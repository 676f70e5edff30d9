"""The base class of guides that fit points and have no density."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.moments import moments
from ltm_pyro.guides.points import Points
from ltm_pyro.ranges import bounded, whole


class AbstractPointGuide(AbstractGuide):
    """Base class of point guides: N points a sequence, all of which the fast loop moves at every step.

    Attributes:
        z: the points, shape (B, N, L, K, D).

    Args:
        z_shape: (L, K, D).
        particles: N.

    Raises:
        InputError: for fewer than one point.
    """

    has_density = False
    z: Tensor

    @bounded(particles=whole(1))
    def __init__(self, z_shape: tuple[int, int, int], particles: int = 1) -> None:
        super().__init__(z_shape)
        if particles < 1:
            raise InputError(f"particles={particles}: expected 1 or more for every sequence")
        self.particles = self.fast_particles = particles

    @abstractmethod
    def begin(self, batch: int, prior: Distribution | None, device: torch.device) -> Tensor:
        """Starting points, shape (B, N, L, K, D)."""

    def posterior(self) -> Distribution:
        """Distribution of `z`, batch (B,), event (L, K, D)."""
        return Points(self.z)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self.rows = len(x)
        self.z = self.begin(len(x), prior, x.device).requires_grad_()

    def local_parameters(self) -> list[Tensor]:
        return [self.z]

    def at_the_mean(self, batch: int, prior: Distribution | None, device: torch.device) -> Tensor:
        """Points at the prior's mean, or at zero where it has none, shape (B, N, L, K, D)."""
        return moments(prior, device)[0].expand(batch, self.particles, *self.z_shape).clone()

    def from_the_prior(self, batch: int, prior: Distribution | None, device: torch.device) -> Tensor:
        """Samples of the prior, or of N(0, I) without one, shape (B, N, L, K, D)."""
        shape = torch.Size((batch, self.particles))
        if prior is None:
            return torch.randn(*shape, *self.z_shape, device=device)
        return prior.sample(shape).detach().clone()

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, particles={self.particles}"
