"""An importance-weighted bound for θ, and that of several groups for γ."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.multiply_importance_weighted import check_groups, grouped
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.ranges import bounded, whole


class PartiallyImportanceWeighted(AbstractBound):
    r"""PIWAE: the importance-weighted bound of all S samples for θ, the mean over M groups of them for γ.

    .. math:: \theta: \log \tfrac1S \sum_s w_s, \qquad
              \gamma: \frac1M \sum_{m=1}^M \log \tfrac1K \sum_{k=1}^K w_{mk}, \quad K = S / M

    (Rainforth et al., 2018, arXiv 1802.04537, section 6.) The model has the tighter bound, q the gradient of
    higher signal-to-noise ratio. The value is θ's. Where θ and γ learn in one pass, the model runs twice.

    Args:
        particles: S, in all groups together.
        groups: M, a divisor of S.
        gradient, at_once: as in `AbstractObjective`.

    Raises:
        InputError: if S is not a multiple of M.
    """

    splits = True

    @bounded(groups=whole(1))
    def __init__(
        self,
        particles: int = 8,
        groups: int = 2,
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        self.groups = check_groups(particles, groups)
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        return log_mean_exp(log_w)

    def inference_value(self, log_w: Tensor) -> Tensor:
        return grouped(log_w, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}, "
