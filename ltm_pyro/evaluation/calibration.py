"""Simulation-based calibration: a test of whether a guide's posteriors are exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.ranks import LEAST_BINS, Calibration, bins_for
from ltm_pyro.inference import FastLoop

COORDINATES, PROJECTIONS = 8, 4


def simulation_based_calibration(
    model: nn.Module,
    guide: Any,
    fast: FastLoop,
    simulations: int = 200,
    draws: int = 31,
    *,
    batch: int = 25,
    at_once: int = 8,
    seed: int = 0,
    statistics: Callable[[Tensor], dict[str, Tensor]] | None = None,
    listener: Callable[[int], None] = lambda done: None,
) -> Calibration:
    r"""Ranks of the true thoughts of simulated texts among samples of the fitted guide.

    .. math:: z^* \sim p(z), \quad x \sim p(x \mid z^*), \quad z_1, \dots, z_S \sim q(z; x), \qquad
              r = \#\{s : f(z_s) < f(z^*)\}

    If q is the exact posterior, r is uniform on 0, ..., S for every statistic f (Talts et al., 2018, arXiv 1804.06788,
    theorem 1), whatever the model's weights. A q that is too narrow piles ranks up at both ends, a q that is too wide
    in the middle, a shifted q at one end. The theorem requires independent draws: samples of a distribution, or chains
    with independent starts, but not particles that repel one another. The points of a guide that holds points are
    drawn without replacement, so that draws cannot outnumber them. The test is of guide and fast loop together, on
    texts that the model generates; a prior whose sampler is approximate fails it too.

    The default statistics: some coordinates of z, some random projections, the norm of z, and log p(x | z), which also
    rejects a q that is right only on average over texts, such as the prior (Modrák et al., 2023, arXiv 2211.02383).

    Args:
        model, guide: they share the site `z`.
        fast: the fast loop that fits the guide.
        simulations: simulated pairs of z and x.
        draws: S; S + 1 should have small divisors (31, 63, 99), since the number of bins divides it.
        batch: sequences fitted together.
        at_once: particles in one pass.
        seed: seed of all noise; the global random state is left as it was.
        statistics: function from z of shape (..., L, K, D) to statistics of shape (...), by name; they are ranked
            instead of coordinates, projections and norm.
        listener: called with the number of finished simulations after each batch.

    Raises:
        InputError: if numbers are too small, ranks do not divide into bins, the model has no thoughts, or the
            guide holds fewer points than draws.
    """
    _check(model, guide, simulations, draws, batch, at_once)
    parts: list[dict[str, Tensor]] = []
    with evaluation_mode(model, guide, seed):
        for first in range(0, simulations, batch):
            z, x = _simulate(model, min(batch, simulations - first))
            statistics = statistics or _Look(z)
            fast.fit(model, guide, x)
            parts.append(_ranks(model, guide, z, x, draws, at_once, statistics))
            listener(first + len(x))
    ranks = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    return Calibration(list(ranks), np.stack(list(ranks.values())), draws)


def _check(model: nn.Module, guide: Any, simulations: int, draws: int, batch: int, at_once: int) -> None:
    """Check the arguments; raises InputError if the ranks could not be uniform or could not be tested."""
    limits = {"simulations": (simulations, 20), "draws": (draws, 3), "batch": (batch, 1), "at_once": (at_once, 1)}
    for name, (value, minimum) in limits.items():
        if value < minimum:
            raise InputError(f"{name}={value}: expected {minimum} or more")
    if bins_for(draws, simulations) < LEAST_BINS:
        raise InputError(
            f"draws={draws}, simulations={simulations}: {draws + 1} ranks do not divide into bins of equal width with "
            "5 or more expected simulations each: give draws=31, 63 or 99, and more simulations"
        )
    points = None if getattr(guide, "has_density", True) else getattr(guide, "fast_particles", None)
    if points is not None and draws > points:
        raise InputError(
            f"draws={draws}: {type(guide).__name__} holds {points} point{'s' * (points != 1)} a sequence, so that "
            "draws would repeat, and ranks would not be uniform even for the exact posterior: ask for at most "
            "as many draws as the guide has points, or give the guide more points"
        )
    if getattr(model, "prior", None) is None:
        raise InputError(f"{type(model).__name__} has no thoughts, and so no posterior to calibrate")


class _Look:
    """Default statistics: coordinates and projections of z, chosen at construction, and its norm."""

    def __init__(self, like: Tensor) -> None:
        z_shape = tuple(like.shape[1:])
        size = math.prod(z_shape)
        self.places = torch.randperm(size)[:COORDINATES].sort().values.tolist()
        self.names = [f"z[{', '.join(map(str, np.unravel_index(place, z_shape)))}]" for place in self.places]
        directions = torch.randn(size, PROJECTIONS, dtype=like.dtype, device=like.device)
        self.directions = directions / directions.norm(dim=0)

    def __call__(self, z: Tensor) -> dict[str, Tensor]:
        flat = z.flatten(-3)
        coordinates = {name: flat[..., place] for name, place in zip(self.names, self.places, strict=True)}
        along = (flat @ self.directions).unbind(-1)
        projections = {f"projection {i + 1}": value for i, value in enumerate(along)}
        return {**coordinates, **projections, "norm of z": flat.norm(dim=-1)}


@torch.no_grad()
def _simulate(model: nn.Module, batch: int) -> tuple[Tensor, Tensor]:
    """Samples (z, x) of the model, B of each."""
    nodes = poutine.trace(model).get_trace(batch_size=batch).nodes
    return nodes["z"]["value"].detach(), nodes["x"]["value"].detach()


@torch.no_grad()
def _ranks(
    model: nn.Module,
    guide: Any,
    truth: Tensor,
    x: Tensor,
    draws: int,
    at_once: int,
    statistics: Callable[[Tensor], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """Rank of the true z among draws of the guide, by statistic, shape (B,)."""
    with pyro.plate("particles", draws, dim=-2):
        samples = guide(x)
    z = torch.cat((truth[None], samples))  # (1 + S, B, L, K, D)
    likelihood = torch.cat([_log_likelihood(model, part, x) for part in z.split(at_once)])
    values = {**statistics(z), "log p(x|z)": likelihood}
    return {name: _rank(value).cpu() for name, value in values.items()}


def _rank(values: Tensor) -> Tensor:
    """Rank of the first value among the others, (1 + S, B) -> (B,); ties are broken at random."""
    below, equal = (values[1:] < values[0]).sum(0), (values[1:] == values[0]).sum(0)
    return below + (torch.rand(equal.shape, device=equal.device) * (equal + 1)).long()


def _log_likelihood(model: nn.Module, z: Tensor, x: Tensor) -> Tensor:
    """log p(x | z), (S, B, L, K, D) -> (S, B)."""
    with pyro.plate("particles", len(z), dim=-2):
        trace = poutine.trace(poutine.condition(model, data={"z": z})).get_trace(x)
    site = trace.nodes["x"]
    return site["fn"].log_prob(site["value"]).expand(z.shape[:2])
