"""A mixture of the ELBO and the importance-weighted bound."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import SHARE, bounded


class CombinedImportanceWeighted(AbstractBound):
    r"""CIWAE: a convex combination of the ELBO and the importance-weighted bound of the same samples.

    .. math:: \beta\, \tfrac1S \sum_s \log w_s + (1 - \beta) \log \tfrac1S \sum_s w_s

    (Rainforth et al., 2018, arXiv 1802.04537, section 6, with :math:`\beta` = `elbo_weight`.)

    Args:
        particles: S.
        elbo_weight: β, from 0 (importance-weighted) to 1 (the ELBO).
        gradient, at_once: as in `AbstractObjective`.

    Raises:
        InputError: for a weight outside 0 to 1, where the combination is no bound.
    """

    @bounded(elbo_weight=SHARE)
    def __init__(
        self,
        particles: int = 8,
        elbo_weight: float = 0.5,
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        if not 0 <= elbo_weight <= 1:
            raise InputError(f"elbo_weight={elbo_weight}: expected a number from 0 to 1")
        self.elbo_weight = elbo_weight
        self.linear = elbo_weight == 1
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        return self.elbo_weight * log_w.mean(0) + (1 - self.elbo_weight) * log_mean_exp(log_w)

    def extra_repr(self) -> str:
        return f"elbo_weight={self.elbo_weight}, "
