"""An objective that is no bound: the ELBO with a maximum mean discrepancy between the aggregated q and the prior."""

from __future__ import annotations

import torch
from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.non_bound import AbstractNonBound
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import FINITE, bounded


class InfoVAE(AbstractNonBound):
    r"""InfoVAE: a reduced KL, and a maximum mean discrepancy between the aggregated q and the prior. Not a bound.

    .. math:: \mathbb{E}_{q(z)}[\log p(x \mid z)] - (1 - \alpha)\,\mathrm{KL}(q(z) \,\|\, p(z))
              - (\alpha + \lambda - 1)\,\mathrm{MMD}^2(\bar q, p), \qquad \bar q = \tfrac1B \sum_b q_b

    (Zhao et al., 2019, arXiv 1706.02262, equation 6.) MMD² has the kernel :math:`C / (C + \|z - z'\|^2)`, C being twice
    the number of dimensions (Tolstikhin et al., 2018, arXiv 1711.01558), and is estimated without bias from the S·B
    samples. It is the same for every sequence of a batch: in this objective alone, sequences depend on batch mates.

    Args:
        alpha: α; 1 removes the KL.
        scale: λ, nats per unit of MMD².
        particles: S.
        at_once: as in `AbstractObjective`.

    Raises:
        InputError: if alpha + scale is below 1; from `terms`, for a single sample.
    """

    @bounded(alpha=FINITE, scale=FINITE)
    def __init__(
        self, alpha: float = 0.9, scale: float = 100.0, particles: int = 1, *, at_once: int | None = None
    ) -> None:
        if alpha + scale < 1:
            raise InputError(
                f"alpha={alpha}, scale={scale}: expected a sum of 1 or more, or the MMD would be maximised"
            )
        self.alpha, self.scale = alpha, scale
        super().__init__(particles, at_once=at_once)

    def estimate(self, draws: Draws) -> Tensor:
        prior = draws.prior_samples()
        names = sorted(prior)
        q = torch.cat([draws.z[name].flatten(0, 1).flatten(1) for name in names], -1)  # (S B, dimensions)
        p = torch.cat([prior[name].flatten(0, 1).flatten(1) for name in names], -1)
        kl = (1 - self.alpha) * draws.kl().total.mean(0)
        return draws.log_likelihood.mean(0) - kl - (self.alpha + self.scale - 1) * squared_mmd(q, p)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, scale={self.scale}, "


def squared_mmd(first: Tensor, second: Tensor) -> Tensor:
    """Unbiased estimate of the MMD² of two samples, shape (N, D) each: a scalar, which may be negative.

    Raises:
        InputError: if N is 1.
    """
    count, dimensions = first.shape
    if count < 2:
        raise InputError("the discrepancy compares samples with one another: use 2 or more sequences or particles")

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squares = a.square().sum(-1)[:, None] + b.square().sum(-1) - 2 * a @ b.T
        return 2 * dimensions / (2 * dimensions + squares)

    def within(a: Tensor) -> Tensor:
        return (kernel(a, a).sum() - count) / (count * (count - 1))  # a point's kernel with itself is 1

    return within(first) + within(second) - 2 * kernel(first, second).mean()
