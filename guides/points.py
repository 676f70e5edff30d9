"""A distribution over given points, without a density."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Z_DIMS = 3  # L, K and D


class NoDensity:
    """Density of a distribution over points: log q(z) is undefined, so that every bound refuses it."""

    def refusal(self, *, linear: bool, upper: bool = False) -> str:
        """The reason why no bound is valid with points."""
        return (
            "the guide draws points, for which log q(z) is undefined, so that nothing is bounded: learn by "
            "bound.without_claim(), or take LaplaceGuide or MeanFieldGuide for a bound"
        )

    def __repr__(self) -> str:
        return "NoDensity()"


class Points(TorchDistribution):
    r"""Distribution over points :math:`z_1, \dots, z_N` of every sequence, drawn without replacement in rounds of N.

    S draws contain every point :math:`\lfloor S / N \rfloor` or :math:`\lceil S / N \rceil` times, in a random order:
    each draw is one of the points with equal probability, and N draws are all of them. Gradients reach the drawn
    points.

    Points have no density. `log_prob` is zero, so that an objective that claims nothing has the full log p(z); by
    `density` every bound refuses.

    Args:
        places: the points, shape (B, N, L, K, D).
        batch_shape: (B,), or (..., B) for several draws of each sequence.
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
        """The same distribution with a larger batch shape."""
        return Points(self.places, torch.Size(batch_shape), self._validate_args)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Reparameterised draws, shape (*sample_shape, *batch_shape, L, K, D)."""
        shape = torch.Size(sample_shape) + self.batch_shape  # (..., B)
        chosen = self._choose(math.prod(shape[:-1]))
        rows = torch.arange(len(self.places), device=self.places.device)
        return self.places[rows, chosen].view(*shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Zero, shape (...), from z of shape (..., L, K, D), with a zero gradient in z, as some estimators need one."""
        return 0.0 * value.flatten(-Z_DIMS).sum(-1)

    def _choose(self, draws: int) -> Tensor:
        """Indices of the drawn points, shape (draws, B)."""
        batch, points = self.places.shape[:2]
        if points == 1:
            return torch.zeros(draws, batch, dtype=torch.long, device=self.places.device)
        rounds = -(-draws // points)
        order = torch.rand(rounds, points, batch, device=self.places.device).argsort(1)
        return order.flatten(0, 1)[:draws]
