"""An objective that is no bound: the ELBO with another weight on its KL."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.non_bound import AbstractNonBound
from ltm_pyro.bounds.schedules import AbstractSchedule, scheduled_from_zero
from ltm_pyro.ranges import NOT_NEGATIVE, bounded


class KLWeighted(AbstractNonBound):
    r"""The ELBO with a weight on its KL. Not a bound: with a weight below 1 it can exceed log p(x).

    .. math:: \mathbb{E}_{q(z)}[\log p(x \mid z)] - \beta\,\mathrm{KL}(q(z) \,\|\, p(z))

    (Higgins et al., 2017, with :math:`\beta` = `kl_weight`; Bowman et al., 2016, arXiv 1511.06349, against
    posterior collapse, with a `LinearSchedule`; Fu et al., 2019, arXiv 1903.10145, with a `CyclicalSchedule`.) With a
    weight below 1, information in z costs less than its KL, so that the decoder learns to use z. Measure the result
    with a bound.

    Args:
        kl_weight: of the KL, 0 or more; or a schedule over the slow steps.
        particles: S.
        gradient, at_once: as in `AbstractObjective`.

    Raises:
        InputError: for a negative weight.
    """

    linear = True
    schedule: float | AbstractSchedule

    @bounded(kl_weight=NOT_NEGATIVE)
    def __init__(
        self,
        kl_weight: float | AbstractSchedule = 1.0,
        particles: int = 1,
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        self.schedule = kl_weight
        self.begin(0)
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def begin(self, step: int) -> None:
        self.kl_weight = scheduled_from_zero("kl_weight", self.schedule, step)

    def value(self, log_w: Tensor) -> Tensor:
        return log_w.mean(0)

    def estimate(self, draws: Draws) -> Tensor:
        return draws.log_likelihood.mean(0) - self.kl_weight * draws.kl().total.mean(0)

    def extra_repr(self) -> str:
        return f"kl_weight={self.schedule}, "
