"""Hamiltonian Monte Carlo for many chains at once, along a path of tempered densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

JITTER = 0.2  # relative range of a trajectory's random step size, against periodic trajectories


class Point(NamedTuple):
    r"""State of S chains of B sequences, with the parts of the tempered log-density :math:`\log q(z) + \beta\, r(z)`.

    Both parts and their gradients are stored, so that another temperature needs no pass through the model.
    """

    z: Tensor  # (S, B, N), N numbers in all latent sites together
    log_start: Tensor  # log q(z), (S, B)
    log_ratio: Tensor  # r(z), (S, B)
    start_slope: Tensor  # of log q along z, (S, B, N)
    ratio_slope: Tensor  # of r along z, (S, B, N)

    def log_density(self, beta: float) -> Tensor:
        """Tempered log-density log q(z) + β r(z), shape (S, B)."""
        return self.log_start + beta * self.log_ratio

    def slope(self, beta: float) -> Tensor:
        """Gradient of the tempered log-density in z, shape (S, B, N)."""
        return self.start_slope + beta * self.ratio_slope

    def where(self, kept: Tensor, other: Point) -> Point:
        """Combination of two states: this one in the chains where `kept`, shape (S, B), and `other` elsewhere."""
        pairs = zip(self, other, strict=True)
        return Point(*(torch.where(kept[..., None] if a.dim() > kept.dim() else kept, a, b) for a, b in pairs))


class Hamiltonian:
    r"""Reversible HMC transition that leaves :math:`\pi_\beta(z) \propto e^{\log q(z) + \beta r(z)}` invariant.

    A momentum :math:`v \sim \mathcal{N}(0, I)` is drawn, a trajectory is integrated by leapfrog steps, and its end is
    accepted, independently in each chain of each sequence, with probability

    .. math:: \min\Big(1, \frac{\pi_\beta(z')\, \mathcal{N}(v'; 0, I)}{\pi_\beta(z)\, \mathcal{N}(v; 0, I)}\Big)

    (Neal, 2011, arXiv 1206.1901, sections 2.3 and 3.2.) A trajectory with numbers that are not finite is
    rejected. Trajectories of a fixed length can be periodic in some directions, so that the step size of each is drawn
    at random around the given one, independently of z; a mixture of reversible transitions is reversible.

    Args:
        at: the function from z, shape (S, B, N), to its `Point`.
        leapfrog_steps: in a trajectory, each with one call of `at`.
        scale: the approximate scale of z, shape (B, N) or broadcast to it: the square root of the inverse of a diagonal
            mass matrix. It must not depend on the chains' states.
    """

    def __init__(self, at: Callable[[Tensor], Point], leapfrog_steps: int, scale: Tensor | float = 1.0) -> None:
        self.at, self.leapfrog_steps, self.scale = at, leapfrog_steps, scale

    def move(self, here: Point, beta: float, step: Tensor) -> tuple[Point, Tensor]:
        """Take one transition.

        Args:
            here: the chains' states.
            beta: β, the inverse temperature.
            step: of the leapfrog, in units of `scale`, shape (B,) or broadcast to (S, B).

        Returns:
            The next states, and the acceptance probabilities, shape (S, B).
        """
        jitter = 1 + JITTER * (2 * torch.rand_like(here.log_start) - 1)
        momentum = torch.randn_like(here.z)
        there, after = self.leapfrog(here, momentum, beta, step * jitter)
        rise = there.log_density(beta) - here.log_density(beta)
        rise = rise + 0.5 * (momentum.square() - after.square()).sum(-1)
        rise = rise.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        return there.where(self.accepts(rise), here), rise.clamp(max=0).exp()

    def accepts(self, rise: Tensor) -> Tensor:
        """Metropolis test of each chain, shape (S, B), from the change of its log-density, momentum included."""
        return torch.rand_like(rise).log() < rise

    def leapfrog(self, here: Point, momentum: Tensor, beta: float, step: Tensor) -> tuple[Point, Tensor]:
        """Leapfrog integration of a trajectory: its last point and momentum, shape (S, B, N).

        The map is reversible, by negation of the momentum, and volume-preserving.
        """
        length = step[..., None] * self.scale  # (S, B, N)
        for _ in range(self.leapfrog_steps):
            momentum = momentum + 0.5 * length * here.slope(beta)
            here = self.at(here.z + length * momentum)
            momentum = momentum + 0.5 * length * here.slope(beta)
        return here, momentum
