"""The mean of importance-weighted bounds over groups of samples."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import bounded, whole


class MultiplyImportanceWeighted(AbstractBound):
    r"""MIWAE: the mean of M importance-weighted bounds of K = S / M samples each.

    .. math:: \frac1M \sum_{m=1}^M \log \tfrac1K \sum_{k=1}^K w_{mk}

    (Rainforth et al., 2018, arXiv 1802.04537, equation 11.) More groups raise the signal-to-noise ratio of γ's
    gradient, fewer make the bound tighter. M = S is the ELBO, M = 1 the importance-weighted bound.

    Args:
        particles: S, in all groups together.
        groups: M, a divisor of S.
        gradient, at_once: as in `AbstractObjective`.

    Raises:
        InputError: if S is not a multiple of M.
    """

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
        self.linear = groups == particles
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        return grouped(log_w, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}, "


def grouped(log_w: Tensor, groups: int) -> Tensor:
    """Mean over groups of the log of the group's mean weight, (S, B) -> (B,)."""
    return log_mean_exp(log_w.unflatten(0, (-1, groups))).mean(0)


def check_groups(particles: int, groups: int) -> int:
    """Raises InputError unless the groups divide the particles; returns the groups."""
    if groups < 1 or particles % groups:
        raise InputError(
            f"groups={groups}, particles={particles}: expected a divisor of the particles, for groups of equal size"
        )
    return groups
