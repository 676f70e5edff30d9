"""An objective that is no bound: the ELBO with free bits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.non_bound import AbstractNonBound
from ltm_pyro.bounds.schedules import AbstractSchedule, scheduled_from_zero
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import NOT_NEGATIVE, bounded


class FreeBits(AbstractNonBound):
    r"""Free bits: the ELBO with the KL of each group counted as at least λ nats. Not a bound.

    .. math:: \mathbb{E}_{q(z)}[\log p(x \mid z)] - \beta \sum_g \max(\lambda, \mathrm{KL}_g)

    With β = 1 it is never above the ELBO.

    (Kingma et al., 2016, arXiv 1606.04934, equation 15, here per sequence, so that no sequence depends on its batch
    mates.) Below λ a group's KL has no gradient, so that q is not drawn to the prior.

    Args:
        nats: λ, of each group.
        per: the groups: single `dimension`s of z, or all thoughts of a `layer`.
        particles: S.
        kl_weight: β, 0 or more; or a schedule over the slow steps. With `nats=0.5` and a `CyclicalSchedule` the
            gradient is that of Optimus (Li et al., 2020, arXiv 2004.04092), whose code leaves terms below λ out.
        at_once: as in `AbstractObjective`.

    Raises:
        InputError: for negative nats; from `terms`, if the KL of q and p does not split into these groups.
    """

    schedule: float | AbstractSchedule

    @bounded(nats=NOT_NEGATIVE, kl_weight=NOT_NEGATIVE)
    def __init__(
        self,
        nats: float = 0.1,
        per: Literal["dimension", "layer"] = "dimension",
        particles: int = 1,
        kl_weight: float | AbstractSchedule = 1.0,
        *,
        at_once: int | None = None,
    ) -> None:
        if nats < 0 or per not in ("dimension", "layer"):
            raise InputError(f"nats={nats}, per={per!r}: expected 0 or more, and 'dimension' or 'layer'")
        self.nats, self.per, self.schedule = nats, per, kl_weight
        self.begin(0)
        super().__init__(particles, at_once=at_once)

    def begin(self, step: int) -> None:
        self.kl_weight = scheduled_from_zero("kl_weight", self.schedule, step)

    def estimate(self, draws: Draws) -> Tensor:
        kl = draws.kl()
        groups = kl.per_layer if self.per == "layer" else kl.per_dimension
        if groups is None:
            raise InputError(
                f"the KL between this guide and this prior does not split by {self.per}: take another `per`, or a pair "
                "that factorises, such as MeanFieldGuide and GaussianPrior"
            )
        counted = groups.mean(0).clamp(min=self.nats).flatten(1).sum(-1)
        return draws.log_likelihood.mean(0) - self.kl_weight * counted

    def extra_repr(self) -> str:
        weight = "" if self.schedule == 1.0 else f"kl_weight={self.schedule}, "
        return f"nats={self.nats}, per={self.per}, {weight}"
