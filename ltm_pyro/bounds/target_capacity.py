"""An objective that is no bound: the KL with a target capacity."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.non_bound import AbstractNonBound
from ltm_pyro.bounds.schedules import AbstractSchedule, scheduled_from_zero
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import NOT_NEGATIVE, bounded


class TargetCapacity(AbstractNonBound):
    r"""Target capacity: a penalty on the distance of the KL from C nats per sequence. Not a bound.

    .. math:: \mathbb{E}_{q(z)}[\log p(x \mid z)] - \gamma\,\big|\mathrm{KL}(q(z) \,\|\, p(z)) - C\big|

    (Burgess et al., 2018, arXiv 1804.03599, equation 8, with :math:`\gamma` = `strength`.)

    Args:
        capacity: C, nats per sequence; or a schedule over the slow steps, usually a rising one.
        strength: γ.
        particles: S.
        at_once: as in `AbstractObjective`.

    Raises:
        InputError: for a negative capacity or strength.
    """

    schedule: float | AbstractSchedule

    @bounded(capacity=NOT_NEGATIVE, strength=NOT_NEGATIVE)
    def __init__(
        self,
        capacity: float | AbstractSchedule = 10.0,
        strength: float = 1.0,
        particles: int = 1,
        *,
        at_once: int | None = None,
    ) -> None:
        if strength < 0:
            raise InputError(f"strength={strength}: expected 0 or more")
        self.schedule, self.strength = capacity, strength
        self.begin(0)
        super().__init__(particles, at_once=at_once)

    def begin(self, step: int) -> None:
        self.capacity = scheduled_from_zero("capacity", self.schedule, step, "nats")

    def estimate(self, draws: Draws) -> Tensor:
        distance = (draws.kl().total.mean(0) - self.capacity).abs()
        return draws.log_likelihood.mean(0) - self.strength * distance

    def extra_repr(self) -> str:
        return f"capacity={self.schedule}, strength={self.strength}, "
