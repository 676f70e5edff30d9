"""A check of the contract of a bound."""

from __future__ import annotations

import math
from typing import Any

import pyro
import torch
from torch import Tensor

from ltm_pyro.bounds import AbstractBound, Claim
from ltm_pyro.contracts import check_terms, check_value
from ltm_pyro.models.exact import LinearGaussian
from ltm_pyro.testing.fixed import FixedGuide

LIMIT = 4.0  # standard errors
COPIES = 4000


def check_bound(bound: AbstractBound, seed: int = 0) -> None:
    """Assert that a bound keeps its claim, on a model with a known evidence.

    The bound has one value per sequence, whose gradient reaches that sequence's log-weights alone. At the exact
    posterior it equals log p(x) for any samples; at another q its mean is on the side of its `claim`, by more than four
    standard errors; and no sequence's value depends on its batch mates.

    Args:
        bound: the bound, with the number of particles to test.
        seed: of all noise; the global random state is restored.

    Raises:
        AssertionError: if one of these does not hold.
    """
    with torch.random.fork_rng(devices=[]):
        pyro.set_rng_seed(seed)
        check_value(bound)
        check_terms(bound)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        pyro.set_rng_seed(seed)
        toy = LinearGaussian(z_shape=(1, 1, 2))
        _tight(bound, toy)
        _on_its_side(bound, toy)
        _by_itself(bound, toy)


def _value(bound: AbstractBound, toy: LinearGaussian, guide: Any, x: Tensor) -> Tensor:
    value = bound.terms(toy, guide, x).bound
    assert value is not None, "its terms have no bound: only an AbstractBound can be checked"
    return value


def _tight(bound: AbstractBound, toy: LinearGaussian) -> None:
    value = _value(bound, toy, toy.exact_guide(), toy.x)
    gap = (value - toy.evidence(toy.x)).abs().max().item()
    assert gap < 1e-8, f"at the exact posterior it is {gap:.2g} nats from log p(x): there every bound is tight"


def _on_its_side(bound: AbstractBound, toy: LinearGaussian) -> None:
    x = toy.x[:1].expand(COPIES, -1)
    mu, sigma = toy.best_mean_field(x)
    value = _value(bound, toy, FixedGuide(mu + 0.05, 1.2 * sigma), x)
    differences = value - toy.evidence(x)
    z = (differences.mean() / (differences.std() / math.sqrt(COPIES))).item()
    side = {Claim.LOWER: z < -LIMIT, Claim.UPPER: z > LIMIT}.get(bound.claim, True)
    assert side, f"it claims to be a {bound.claim.value}, but its mean is {z:+.1f} standard errors from log p(x)"


def _by_itself(bound: AbstractBound, toy: LinearGaussian) -> None:
    mu, sigma = toy.best_mean_field(toy.x)
    z = mu + 1.2 * sigma * torch.randn(bound.particles, *mu.shape, dtype=mu.dtype)
    together = _value(bound, toy, FixedGuide(mu, sigma, z), toy.x)
    rows = (slice(b, b + 1) for b in range(len(toy.x)))
    apart = [_value(bound, toy, FixedGuide(mu[row], sigma[row], z[:, row]), toy.x[row]) for row in rows]
    worst = (together - torch.cat(apart)).abs().max().item()
    assert worst < 1e-8, f"a sequence's value changes with its batch mates, by {worst:.2g} nats: never mix sequences"
