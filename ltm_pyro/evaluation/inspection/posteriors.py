"""Fitted Gaussian posteriors of many texts."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from ltm_pyro.errors import InputError


class Posteriors(NamedTuple):
    """Diagonal Gaussians q_n(z) of N texts, and the diagonal Gaussian prior p, all in float64.

    Args:
        mu, sigma: mean and standard deviation of q, shape (N, L, K, D).
        prior_mu, prior_sigma: mean and standard deviation of p, shape (L, K, D).
    """

    mu: Tensor
    sigma: Tensor
    prior_mu: Tensor
    prior_sigma: Tensor

    def kl(self) -> Tensor:
        r"""KL(q_n || p) of every dimension in closed form, nats, shape (N, L, K, D)."""
        ratio = self.sigma / self.prior_sigma
        return 0.5 * (ratio**2 + self.standard_means() ** 2 - 1) - ratio.log()

    def standard_means(self) -> Tensor:
        """Posterior means on the scale where the prior is N(0, I), shape (N, L, K, D)."""
        return (self.mu - self.prior_mu) / self.prior_sigma


def gaussian_of(distribution: Distribution, name: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a diagonal Gaussian, in float64.

    Raises:
        InputError: for any other distribution, which does not split into dimensions.
    """
    while isinstance(distribution, Independent):
        distribution = distribution.base_dist
    if not isinstance(distribution, Normal):
        raise InputError(
            f"the {name} of this run is {type(distribution).__name__}, no diagonal Gaussian: ltm inspect splits the KL "
            "into dimensions, which needs MeanFieldGuide (or FixedVarianceGuide) and a Gaussian prior"
        )
    return distribution.loc.detach().double().cpu(), distribution.scale.detach().double().cpu()


def check(model: Any, guide: Any) -> None:
    """Check that a model and a guide can be inspected, before any work is done.

    Raises:
        InputError: with the reason, if they cannot.
    """
    if getattr(model, "prior", None) is None:
        raise InputError("this run has no thoughts to inspect: it is autoregressive. Name a run of the latent model")
    if guide.discrete or not guide.has_density:
        raise InputError(f"{type(guide).__name__} has no density over continuous thoughts: nothing can be inspected")
    with torch.no_grad():
        gaussian_of(model.prior(), "prior")
        guide.start(torch.zeros(1, 1, dtype=torch.long, device=next(model.parameters()).device), prior=model.prior())
        gaussian_of(guide.posterior(), "posterior")
