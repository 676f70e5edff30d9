"""Hamiltonian Monte Carlo for many chains at once, along a path of tempered densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

JITTER = 0.2  # by which every trajectory's step is drawn away from its middle, so that no length meets a period


class Point(NamedTuple):
    r"""State of S chains of B sequences: positions, and all that a tempered :math:`\log q(z) + \beta\, r(z)` needs.

    Both parts are kept, and their slopes, so that another temperature costs no pass through a model.
    """

    z: Tensor  # (S, B, N), N numbers in all latent sites together
    log_start: Tensor  # log q(z), (S, B)
    log_ratio: Tensor  # r(z), (S, B)
    start_slope: Tensor  # of log q along z, (S, B, N)
    ratio_slope: Tensor  # of r along z, (S, B, N)

    def log_density(self, beta: float) -> Tensor:
        """log q(z) + β r(z), shape (S, B)."""
        return self.log_start + beta * self.log_ratio

    def slope(self, beta: float) -> Tensor:
        """Of the log-density along z, shape (S, B, N)."""
        return self.start_slope + beta * self.ratio_slope

    def where(self, kept: Tensor, other: Point) -> Point:
        """This point in the chains where `kept`, shape (S, B), and the other elsewhere."""
        pairs = zip(self, other, strict=True)
        return Point(*(torch.where(kept[..., None] if a.dim() > kept.dim() else kept, a, b) for a, b in pairs))


class Hamiltonian:
    r"""A transition that leaves :math:`\pi_\beta(z) \propto e^{\log q(z) + \beta r(z)}` as it is, and is reversible.

    A momentum :math:`v \sim \mathcal{N}(0, I)` is drawn, a trajectory follows it by leapfrog steps, and its end is
    accepted, in each chain of each sequence by itself, with probability

    .. math:: \min\Big(1, \frac{\pi_\beta(z')\, \mathcal{N}(v'; 0, I)}{\pi_\beta(z)\, \mathcal{N}(v; 0, I)}\Big)

    (Neal, 2011, arXiv 1206.1901, sections 2.3 and 3.2.) A trajectory that leaves the finite numbers is rejected.
    Trajectories of one length would come back to where they began in some directions, so that the step of each is drawn
    from around the given one, whatever z is; a mixture of reversible transitions is reversible.

    Args:
        at: what evaluates z, shape (S, B, N).
        leapfrog_steps: in a trajectory, each with one call of `at`.
        scale: about how far z ranges, shape (B, N) or broadcast to it: the square root of the inverse of a diagonal
            mass matrix. It must not depend on where the chains are.
    """

    def __init__(self, at: Callable[[Tensor], Point], leapfrog_steps: int, scale: Tensor | float = 1.0) -> None:
        self.at, self.leapfrog_steps, self.scale = at, leapfrog_steps, scale

    def move(self, here: Point, beta: float, step: Tensor) -> tuple[Point, Tensor]:
        """One transition.

        Args:
            here: where the chains are.
            beta: β, the inverse temperature.
            step: of the leapfrog, in units of `scale`, shape (B,) or broadcast to (S, B).

        Returns:
            Where the chains are next, and the probability with which each accepted, shape (S, B).
        """
        drawn = 1 + JITTER * (2 * torch.rand_like(here.log_start) - 1)
        momentum = torch.randn_like(here.z)
        there, after = self.leapfrog(here, momentum, beta, step * drawn)
        rise = there.log_density(beta) - here.log_density(beta)
        rise = rise + 0.5 * (momentum.square() - after.square()).sum(-1)
        rise = rise.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        return there.where(self.accepts(rise), here), rise.clamp(max=0).exp()

    def accepts(self, rise: Tensor) -> Tensor:
        """Whether each chain takes the end of its trajectory, from the rise of its log-density, shape (S, B)."""
        return torch.rand_like(rise).log() < rise

    def leapfrog(self, here: Point, momentum: Tensor, beta: float, step: Tensor) -> tuple[Point, Tensor]:
        """Follow the momentum: the point at the end, and the momentum there, shape (S, B, N).

        Started there with the momentum turned round, it comes back; and it keeps volumes.
        """
        length = step[..., None] * self.scale  # (S, B, N)
        for _ in range(self.leapfrog_steps):
            momentum = momentum + 0.5 * length * here.slope(beta)
            here = self.at(here.z + length * momentum)
            momentum = momentum + 0.5 * length * here.slope(beta)
        return here, momentum
