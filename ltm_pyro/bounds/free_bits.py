"""An objective that is no bound: the ELBO with free bits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.non_bound import AbstractNonBound
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import NOT_NEGATIVE, bounded


class FreeBits(AbstractNonBound):
    r"""Free bits: the ELBO with the KL of each group counted as at least λ nats. Not a bound; never above the ELBO.

    .. math:: \mathbb{E}_{q(z)}[\log p(x \mid z)] - \sum_g \max(\lambda, \mathrm{KL}_g)

    (Kingma et al., 2016, arXiv 1606.04934, equation 15, here per sequence, so that no sequence depends on its batch
    mates.) Below λ a group's KL has no gradient, so that q is not drawn to the prior.

    Args:
        nats: λ, of each group.
        per: the groups: single `dimension`s of z, or all thoughts of a `layer`.
        particles: S.
        at_once: as in `AbstractObjective`.

    Raises:
        InputError: for negative nats; from `terms`, if the KL of q and p does not split into these groups.
    """

    @bounded(nats=NOT_NEGATIVE)
    def __init__(
        self,
        nats: float = 0.1,
        per: Literal["dimension", "layer"] = "dimension",
        particles: int = 1,
        *,
        at_once: int | None = None,
    ) -> None:
        if nats < 0 or per not in ("dimension", "layer"):
            raise InputError(f"nats={nats}, per={per!r}: expected 0 or more, and 'dimension' or 'layer'")
        self.nats, self.per = nats, per
        super().__init__(particles, at_once=at_once)

    def estimate(self, draws: Draws) -> Tensor:
        kl = draws.kl()
        groups = kl.per_layer if self.per == "layer" else kl.per_dimension
        if groups is None:
            raise InputError(
                f"the KL between this guide and this prior does not split by {self.per}: take another `per`, or a pair "
                "that factorises, such as MeanFieldGuide and GaussianPrior"
            )
        return draws.log_likelihood.mean(0) - groups.mean(0).clamp(min=self.nats).flatten(1).sum(-1)

    def extra_repr(self) -> str:
        return f"nats={self.nats}, per={self.per}, "
