"""The jackknife estimate of log p(x)."""

from __future__ import annotations

from math import comb, factorial
from typing import Literal

import torch
from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.errors import InputError


class Jackknife(AbstractBound):
    r"""Jackknife variational inference (JVI): the importance-weighted bound without its bias up to order m in 1/S.

    .. math:: \sum_{j=0}^m c(S, m, j)\, \bar{\mathcal{L}}_{S-j}, \qquad
              c(S, m, j) = (-1)^j \frac{(S-j)^m}{(m-j)!\, j!}

    where :math:`\bar{\mathcal{L}}_{S-j}` is the mean of the importance-weighted bound over all subsets that leave
    j samples out (Nowozin, 2018, "Debiasing Evidence Approximations", equations 9 and 10). Its bias falls as
    :math:`S^{-(m+1)}`, but its mean can exceed log p(x): an estimate, not a bound. Where one weight dominates, it
    grows with the difference of the two largest log-weights, so that q must not be fitted to it.

    Args:
        particles: S, more than m.
        order: m, 1 or 2.
        gradient, at_once: as in `AbstractObjective`.

    Raises:
        InputError: for another order, or too few particles.
    """

    claim = Claim.ESTIMATE

    def __init__(
        self,
        particles: int = 8,
        order: Literal[1, 2] = 1,
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        if order not in (1, 2):
            raise InputError(f"order={order}: expected 1 or 2")
        self.order, self.least_particles = order, order + 1
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        count, m = len(log_w), self.order
        value = torch.zeros_like(log_w[0])
        for j in range(m + 1):
            factor = (-1) ** j * (count - j) ** m / (factorial(m - j) * factorial(j))
            value = value + factor * _mean_without(log_w, j)
        return value

    @property
    def refusal_of_fast_loop(self) -> str | None:
        return (
            f"{self.name} is an estimate that q can raise without limit, by making the weights differ: fit q to a "
            "lower bound, and use it in the slow step or to measure"
        )

    def extra_repr(self) -> str:
        return f"order={self.order}, "


def _mean_without(log_w: Tensor, left_out: int) -> Tensor:
    """Mean of the importance-weighted bound over all subsets without `left_out` samples, (S, B) -> (B,)."""
    if not left_out:
        return log_mean_exp(log_w)
    count = len(log_w)
    omitted = torch.combinations(torch.arange(count, device=log_w.device), left_out)  # (subsets, left_out)
    mask = torch.zeros(comb(count, left_out), count, dtype=torch.bool, device=log_w.device).scatter_(1, omitted, True)
    kept = log_w.expand(len(omitted), *log_w.shape).masked_fill(mask[..., None], -torch.inf)  # (subsets, S, B)
    return kept.logsumexp(1).mean(0) - torch.tensor(count - left_out, dtype=log_w.dtype).log().item()
