"""Information of the thoughts about the text: active units and mutual information."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ltm_pyro.evaluation.inspection.posteriors import Posteriors

ACTIVE = 0.01  # Burda et al.'s threshold
AT_ONCE = 16  # texts whose draws are compared with all posteriors at once


def active_units(posteriors: Posteriors) -> Tensor:
    r"""Mask of active units, the dimensions whose posterior mean varies with the text; booleans (L, K, D).

    .. math:: \mathrm{Var}_n\,\mathbb{E}_{q_n}[z] > 0.01\,\sigma_p^2

    (Burda et al., 2016, arXiv 1509.00519, section 5.2, where :math:`\sigma_p = 1`: for other priors the variance is
    measured in units of the prior's.) All dimensions are inactive if there are fewer than two texts.
    """
    means = posteriors.standard_means()
    if len(means) < 2:
        return torch.zeros(means.shape[1:], dtype=torch.bool)
    return means.var(0) > ACTIVE


class Information(NamedTuple):
    """Bounds on I(x; z), nats per text, each with its standard error over texts.

    Args:
        lower, lower_error: lower bound, with the mixture of all N posteriors; at most log N.
        upper, upper_error: upper bound, with the mixture of the posteriors of the other texts.
        most: log N, the largest value of the lower bound.
    """

    lower: float
    lower_error: float
    upper: float
    upper_error: float
    most: float


def mutual_information(posteriors: Posteriors, draws: int, generator: torch.Generator) -> Information:
    r"""Lower and upper bound on I(x; z), from samples z of each text's posterior.

    .. math:: \mathbb{E}\log\frac{q_n(z)}{\frac1N\sum_m q_m(z)} \le I(x; z)
        \le \mathbb{E}\log\frac{q_n(z)}{\frac1{N-1}\sum_{m\ne n} q_m(z)}

    in expectation over texts. The lower bound is the mutual information of the N texts themselves (Hoffman and
    Johnson, 2016, ELBO surgery), which cannot exceed log N; the upper bound leaves the text's own posterior out (Poole
    et al., 2019, arXiv 1905.06922, section 2). Both are NaN for fewer than two texts.

    Args:
        posteriors: posteriors of N texts.
        draws: S, samples of each posterior.
        generator: random generator of the noise.
    """
    mu, sigma = (part.flatten(1) for part in (posteriors.mu, posteriors.sigma))
    count = len(mu)
    if count < 2:
        return Information(math.nan, math.nan, math.nan, math.nan, 0.0)
    lower, upper = torch.zeros(count, dtype=mu.dtype), torch.zeros(count, dtype=mu.dtype)
    for _ in range(draws):
        z = mu + sigma * torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
        densities = torch.cat([_log_densities(part, mu, sigma) for part in z.split(AT_ONCE)])  # (N, N)
        self_density = densities.diagonal()
        lower += (self_density - densities.logsumexp(1) + math.log(count)) / draws
        others_density = densities.clone().fill_diagonal_(-math.inf).logsumexp(1)
        upper += (self_density - others_density + math.log(count - 1)) / draws
    error = count**-0.5
    return Information(
        lower.mean().item(),
        lower.std().item() * error,
        upper.mean().item(),
        upper.std().item() * error,
        math.log(count),
    )


def _log_densities(z: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """log q_m(z_n) up to an additive constant, shape (n, N), from z of shape (n, L K D)."""
    precision = sigma**-2
    squares = z**2 @ precision.T - 2 * z @ (mu * precision).T + (mu**2 * precision).sum(1)
    return -0.5 * squares - sigma.log().sum(1)
