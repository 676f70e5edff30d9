"""The variational Rényi bound."""

from __future__ import annotations

import torch
from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.ranges import FINITE, bounded

NEAR = 1e-2  # |1 - alpha| below which the logarithm is expanded about the mean, for precision


class Renyi(AbstractBound):
    r"""Variational Rényi bound of order α, per sequence.

    .. math:: \mathcal{L}_\alpha = \frac{1}{1-\alpha} \log \tfrac1S \sum_s w_s^{1-\alpha}

    (Li and Turner, 2016, arXiv 1602.02311, equation 6.) α → 1 is the ELBO, α = 0 the importance-weighted bound,
    and α → ∞ the smallest log-weight. For α ≥ 0 the power mean is below the arithmetic one, so that this is a
    lower bound at every S. For α < 0 it is an upper bound only as S → ∞; at S = 1 it is the ELBO, and learning
    maximises it (VR-max is α → -∞, section 4.2). `ChiUpper` is an upper bound at every S.

    Args:
        alpha: α, any real number.
        particles: S.
        gradient, at_once: as in `AbstractObjective`.
    """

    @bounded(alpha=FINITE)
    def __init__(
        self,
        alpha: float = 0.5,
        particles: int = 8,
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.linear = alpha == 1
        self.claim = Claim.LOWER if alpha >= 0 else Claim.UPPER_IN_THE_LIMIT
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        power = 1 - self.alpha
        mean = log_w.mean(0)
        if power == 0:
            return mean
        if abs(power) < NEAR:
            return mean + torch.expm1(power * (log_w - mean)).mean(0).log1p() / power
        return log_mean_exp(power * log_w) / power

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, "
