"""The thermodynamic variational objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import SHARE, SHARE_ABOVE_ZERO, bounded, whole


class Thermodynamic(AbstractBound):
    r"""Thermodynamic variational objective (TVO): a Riemann sum of the integral from q to the posterior.

    .. math:: \log p(x) = \int_0^1 \mathbb{E}_{\pi_\beta}[\log w]\, d\beta, \qquad
              \pi_\beta(z) \propto q(z)^{1-\beta}\, p(x, z)^\beta

    (Masrani et al., 2019, arXiv 1907.00031, equation 6.) The integrand rises with β and is estimated with
    self-normalised weights :math:`\propto w^\beta` of the same S samples. The integral of these estimates is the
    importance-weighted bound of the samples, so that the left sum is below it and a lower bound at every S. The right
    sum is an upper bound only as S → ∞. With a single interval the left sum is the ELBO.

    Args:
        particles: S.
        intervals: number of intervals of the sum.
        schedule: the points: `uniform`; or `log`, at 0 and evenly in log β from `first` to 1; or the points
            themselves, rising from 0 to 1 (`intervals` is then not used).
        first: the first β above 0 of the `log` schedule.
        side: `left`, a lower bound, or `right`.
        gradient, at_once: as in `AbstractObjective`.

    Raises:
        InputError: if the points do not rise from 0 to 1.
    """

    @bounded(particles=whole(1), intervals=whole(1), schedule=SHARE, first=SHARE_ABOVE_ZERO, at_once=whole(1))
    def __init__(
        self,
        particles: int = 8,
        intervals: int = 10,
        schedule: Literal["uniform", "log"] | Sequence[float] = "log",
        first: float = 0.02,
        side: Literal["left", "right"] = "left",
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        if side not in ("left", "right"):
            raise InputError(f"side={side!r}: expected 'left' or 'right'")
        self.points = _points(schedule, intervals, first)
        self.side = side
        self.claim = Claim.LOWER if side == "left" else Claim.UPPER_IN_THE_LIMIT
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        beta, width = self.sum_points(log_w)
        weights = (beta * log_w).softmax(1)  # (points, S, B)
        return (width * weights * log_w).sum((0, 1))

    def sum_points(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The points β of the sum and the widths of their intervals, shape (points, 1, 1) each."""
        points = torch.tensor(self.points, dtype=like.dtype, device=like.device).view(-1, 1, 1)
        return (points[:-1] if self.side == "left" else points[1:]), points.diff(dim=0)

    @property
    def refusal_of_fast_loop(self) -> str | None:
        if self.side == "left":
            return None
        return (
            f"{self.name}(side='right') is an upper bound only as S → ∞: at any S a worse q can both raise and lower "
            "it. Use it to measure, and learn with side='left'"
        )

    @property
    def refusal_of_slow_step(self) -> str | None:
        return self.refusal_of_fast_loop

    def extra_repr(self) -> str:
        return f"intervals={len(self.points) - 1}, side={self.side}, "


def _points(schedule: str | Sequence[float], intervals: int, first: float) -> list[float]:
    if isinstance(schedule, str):
        if schedule not in ("uniform", "log"):
            raise InputError(f"schedule={schedule!r}: expected 'uniform', 'log' or a list of points from 0 to 1")
        if intervals < 1 or not 0 < first < 1:
            raise InputError(f"intervals={intervals}, first={first}: expected 1 or more, and a number between 0 and 1")
        if schedule == "uniform" or intervals == 1:
            return [i / intervals for i in range(intervals + 1)]
        step = -math.log(first) / (intervals - 1)
        return [0.0, *(math.exp(math.log(first) + i * step) for i in range(intervals - 1)), 1.0]
    points = [float(point) for point in schedule]
    rising = all(low < high for low, high in pairwise(points))
    if len(points) < 2 or points[0] != 0 or points[-1] != 1 or not rising:
        raise InputError(f"schedule={points}: expected points that rise from 0 to 1")
    return points
