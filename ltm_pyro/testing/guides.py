"""The contract of a guide, as a check."""

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
    """Assert that a guide with a density keeps its contract, on a model whose evidence is known.

    It has a row of local parameters a sequence, apart from `parameters()`; the fast loop moves all of them and nothing
    else; a posterior does not depend on its batch mates; and a fitted ELBO is below log p(x), by no more than `within`.

    Args:
        make: the guide from z_shape (L, K, D), such as its class.
        within: nats a sequence that the fitted ELBO may lack to log p(x).
        seed: of all noise; the global random state is left as it was.

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
    held = {name: value.clone() for name, value in guide.state_dict().items()}
    before, after = _fit(guide, toy, toy.x, 0), _fit(guide, toy, toy.x, 3)
    for old, new in zip(before, after, strict=True):
        moved = (new - old).flatten(1).abs().amax(1)
        assert (moved > 0).all(), f"the fast loop leaves a local parameter of shape {tuple(new.shape)} where it was"
    same = all(torch.equal(value, held[name]) for name, value in guide.state_dict().items())
    assert same, "the fast loop has moved what the guide shares among texts"


def _by_itself(guide: Any, toy: LinearGaussian) -> None:
    other = torch.cat((toy.x[:1], toy.x[1:].flip(0) + 1))
    for one, two in zip(_fit(guide, toy, toy.x, 3), _fit(guide, toy, other, 3), strict=True):
        worst = (one[0] - two[0]).abs().max().item()
        assert worst < 1e-8, "a sequence's posterior changes with its batch mates: its rows must not touch one another"


def _arrives(guide: Any, toy: LinearGaussian, within: float) -> None:
    _fit(guide, toy, toy.x, 200)
    with torch.no_grad():
        gap = toy.evidence(toy.x) - ELBO(2000).terms(toy, guide, toy.x).elbo
    assert gap.min() > -0.1, f"its ELBO exceeds log p(x) by {-gap.min():.2f} nats: its log q(z) is not its density"
    assert gap.max() < within, f"fitted, it lacks {gap.max():.2f} nats to log p(x), more than {within}"
