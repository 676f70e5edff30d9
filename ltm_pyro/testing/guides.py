"""A check of the contract of a guide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro
import torch
from torch import Tensor

from ltm_pyro.bounds import ELBO
from ltm_pyro.contracts import check_posterior, check_rows
from ltm_pyro.inference import FastLoop
from ltm_pyro.models.exact import LinearGaussian


def check_guide(make: Callable[[tuple[int, int, int]], Any], within: float = 1.5, seed: int = 0) -> None:
    """Assert that a guide with a density keeps its contract, on a model with a known evidence.

    The guide has one row of local parameters per sequence, outside of `parameters()`; the fast loop moves all of them
    and nothing else; a posterior does not depend on its batch mates; and a fitted ELBO is below log p(x), by no more
    than `within`.

    Args:
        make: the constructor of the guide from z_shape (L, K, D), such as its class.
        within: the largest gap between log p(x) and the fitted ELBO, in nats per sequence.
        seed: of all noise; the global random state is restored.

    Raises:
        AssertionError: if one of these does not hold.
    """
    with torch.random.fork_rng(devices=[]):
        pyro.set_rng_seed(seed)
        toy = LinearGaussian()
        guide = make(toy.z_shape).double()
        check_rows(guide, toy.x, toy.prior(), torch.float64)
        check_posterior(guide, toy.x, toy.z_shape, torch.float64)
        _moves_its_rows_alone(guide, toy)
        _by_itself(guide, toy)
        _arrives(guide, toy, within)


def _fit(guide: Any, toy: LinearGaussian, x: Tensor, steps: int, seed: int = 1) -> list[Tensor]:
    pyro.set_rng_seed(seed)
    FastLoop(ELBO(8), steps, learning_rate=0.2).fit(toy, guide, x)
    return [row.detach().clone() for row in guide.local_parameters()]


def _moves_its_rows_alone(guide: Any, toy: LinearGaussian) -> None:
    state = {name: value.clone() for name, value in guide.state_dict().items()}
    before, after = _fit(guide, toy, toy.x, 0), _fit(guide, toy, toy.x, 3)
    for old, new in zip(before, after, strict=True):
        moved = (new - old).flatten(1).abs().amax(1)
        assert (moved > 0).all(), f"the fast loop leaves a local parameter of shape {tuple(new.shape)} where it was"
    same = all(torch.equal(value, state[name]) for name, value in guide.state_dict().items())
    assert same, "the fast loop has changed a global parameter or buffer of the guide"


def _by_itself(guide: Any, toy: LinearGaussian) -> None:
    other = torch.cat((toy.x[:1], toy.x[1:].flip(0) + 1))
    for first, second in zip(_fit(guide, toy, toy.x, 3), _fit(guide, toy, other, 3), strict=True):
        worst = (first[0] - second[0]).abs().max().item()
        assert worst < 1e-8, "a sequence's posterior changes with its batch mates: its rows must not touch one another"


def _arrives(guide: Any, toy: LinearGaussian, within: float) -> None:
    _fit(guide, toy, toy.x, 200)
    with torch.no_grad():
        gap = toy.evidence(toy.x) - ELBO(2000).terms(toy, guide, toy.x).elbo
    assert gap.min() > -0.1, f"its ELBO exceeds log p(x) by {-gap.min():.2f} nats: its log q(z) is not its density"
    assert gap.max() < within, f"the fitted ELBO is {gap.max():.2f} nats below log p(x), more than {within}"
