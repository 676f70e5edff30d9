"""Target distributions with known density, over two thoughts of one number, or of one code of three."""

from __future__ import annotations

from collections.abc import Callable

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import one_hot

from ltm_pyro.models.priors import ThoughtDistribution

Z_SHAPE = (2, 1, 1)
CODES = 3
DEPENDENT = torch.tensor(
    [[0.30, 0.03, 0.02], [0.02, 0.25, 0.03], [0.05, 0.02, 0.28]]
)  # joint probability of both codes


def three_places() -> Distribution:
    """Mixture of three Gaussians with different weights and scales."""
    mu = torch.tensor([[-2.0, 0.0], [2.0, 1.5], [1.0, -2.0]]).view(3, *Z_SHAPE)
    sigma = torch.tensor([0.4, 0.6, 0.5]).view(3, 1, 1, 1).expand_as(mu)
    return dist.MixtureSameFamily(dist.Categorical(torch.tensor([0.5, 0.3, 0.2])), dist.Normal(mu, sigma).to_event(3))


def chain(mean: Callable[[Tensor], Tensor], sigma: Callable[[Tensor], Tensor]) -> Distribution:
    """Distribution with z_1 ~ N(0, 1) and z_2 ~ N(mean(z_1), sigma(z_1)²)."""

    def log_density(z: Tensor) -> Tensor:
        first, second = z[..., 0, 0, 0], z[..., 1, 0, 0]
        return dist.Normal(0.0, 1.0).log_prob(first) + dist.Normal(mean(first), sigma(first)).log_prob(second)

    def draw(shape: torch.Size) -> Tensor:
        first = torch.randn(shape)
        return torch.stack((first, dist.Normal(mean(first), sigma(first)).sample()), -1)[..., None, None]

    return ThoughtDistribution(Z_SHAPE, log_density, draw)


def banana() -> Distribution:
    return chain(lambda z: 0.6 * (z**2 - 1), lambda z: torch.full_like(z, 0.3))


def two_levels() -> Distribution:
    """Chain in which both the mean and the scale of the second thought depend on the first."""
    return chain(lambda z: torch.sin(2 * z), lambda z: (0.5 * z - 1).exp())


def code_table(p: Tensor) -> Distribution:
    """Distribution of two codes, with probability p[i, j] of the i-th and the j-th code."""

    def log_density(z: Tensor) -> Tensor:
        return torch.einsum("...i,ij,...j->...", z[..., 0, 0, :], p.log(), z[..., 1, 0, :])

    def draw(shape: torch.Size) -> Tensor:
        index = dist.Categorical(p.flatten()).sample(shape)
        return one_hot(torch.stack((index // CODES, index % CODES), -1), CODES).float()[..., None, :]

    return ThoughtDistribution((2, 1, CODES), log_density, draw, support=constraints.one_hot)


def dependent_codes() -> Distribution:
    return code_table(DEPENDENT)


def independent_codes() -> Distribution:
    """Independent codes with the marginals of `dependent_codes`."""
    return code_table(DEPENDENT.sum(1)[:, None] * DEPENDENT.sum(0))


NUMBERS = {"three places": three_places, "banana": banana, "two levels": two_levels}
TABLES = {"dependent codes": dependent_codes, "independent codes": independent_codes}
TARGETS = NUMBERS | TABLES
