"""The chi upper bound."""

from __future__ import annotations

import math

from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.weights import leave_one_out, log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import Range, bounded


class ChiUpper(AbstractBound):
    r"""Chi upper bound (CUBO) of order n, in a form that is an upper bound at every S.

    .. math:: \log p(x) \le \mathrm{CUBO}_n = \frac1n \log \mathbb{E}_q[w^n] \le
              \frac1n\, \mathbb{E}\Big[\tfrac1S \sum_s \Big(\frac{w_s^n}{c_s} - 1 + \log c_s\Big)\Big],
              \quad c_s = \tfrac{1}{S-1} \sum_{r \ne s} w_r^n

    (Dieng et al., 2017, arXiv 1611.00328, equation 3, with :math:`\log y \le y / c - 1 + \log c`.) The usual estimate,
    :math:`\frac1n \log \frac1S \sum_s w_s^n`, is an upper bound only as S → ∞ (it is `Renyi(alpha=1-n)`), because the
    logarithm of a mean is too low in expectation. Here the logarithm is bounded by its tangent
    at c, the mean of the other samples: the expectation is above CUBO, and tends to it with S. The bound is loose where
    q is far from the posterior.

    Args:
        particles: S, 2 or more.
        order: n, above 1.
        gradient, at_once: as in `AbstractObjective`.

    Raises:
        InputError: for an order of 1 or less, or one particle.
    """

    claim = Claim.UPPER
    least_particles = 2

    @bounded(order=Range(1, math.inf, True, True))
    def __init__(
        self,
        particles: int = 8,
        order: float = 2.0,
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        if not order > 1:
            raise InputError(f"order={order}: expected an order above 1; at 1 CUBO is log p(x) itself")
        self.order = order
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        powers = self.order * log_w
        scale = log_mean_exp(leave_one_out(powers))  # log c, (S, B)
        return ((powers - scale).expm1() + scale).mean(0) / self.order

    def extra_repr(self) -> str:
        return f"order={self.order}, "
