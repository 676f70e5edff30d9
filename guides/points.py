"""Points in place of a posterior."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Z_DIMS = 3  # L, K and D


class NoDensity:
    """The refusal of a distribution of points to state log q(z)."""

    def refusal(self, *, linear: bool, upper: bool = False) -> str:
        """The reason why points bound nothing: the same for every bound."""
        return (
            "the guide draws points, of which log q(z) is not known, so that nothing is bounded: learn by "
            "bound.without_claim(), or take LaplaceGuide or MeanFieldGuide for a number"
        )

    def __repr__(self) -> str:
        return "NoDensity()"


class Points(TorchDistribution):
    r"""The points :math:`z_1, \dots, z_N` of every sequence, drawn without replacement until none is left.

    S draws hold every point :math:`\lfloor S / N \rfloor` or :math:`\lceil S / N \rceil` times, in a random order: each
    draw is one of the points with equal probability, and N draws are all of them. Every draw is a path to its point.

    They have no density. `log_prob` is zero, so that an objective that claims nothing takes log p(z) whole; `density`
    makes every bound refuse.

    Args:
        places: the points, shape (B, N, L, K, D).
        batch_shape: (B,), or (..., B) for as many draws of each.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support: Any = constraints.independent(constraints.real, Z_DIMS)
    has_rsample = True
    density = NoDensity()

    def __init__(
        self, places: Tensor, batch_shape: torch.Size | None = None, validate_args: bool | None = None
    ) -> None:
        self.places = places
        batch_shape = torch.Size(places.shape[:1] if batch_shape is None else batch_shape)
        super().__init__(batch_shape, places.shape[2:], validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: Points | None = None) -> Points:
        """The same points, with more draws to come."""
        return Points(self.places, torch.Size(batch_shape), self._validate_args)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Shape (*sample_shape, *batch_shape, L, K, D)."""
        shape = torch.Size(sample_shape) + self.batch_shape  # (..., B)
        chosen = self._choose(math.prod(shape[:-1]))
        rows = torch.arange(len(self.places), device=self.places.device)
        return self.places[rows, chosen].view(*shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Zero, shape (...), from z of shape (..., L, K, D); differentiable by z, for gradients that look along it."""
        return 0.0 * value.flatten(-Z_DIMS).sum(-1)

    def _choose(self, draws: int) -> Tensor:
        """Index of the point of every draw, shape (draws, B)."""
        batch, points = self.places.shape[:2]
        if points == 1:
            return torch.zeros(draws, batch, dtype=torch.long, device=self.places.device)
        rounds = -(-draws // points)
        order = torch.rand(rounds, points, batch, device=self.places.device).argsort(1)
        return order.flatten(0, 1)[:draws]
