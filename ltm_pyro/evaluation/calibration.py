"""Simulation-based calibration: whether a guide's posteriors are posteriors."""

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
    r"""Where the true thoughts of simulated texts rank among a fitted guide's.

    .. math:: z^* \sim p(z), \quad x \sim p(x \mid z^*), \quad z_1, \dots, z_S \sim q(z; x), \qquad
              r = \#\{s : f(z_s) < f(z^*)\}

    If q is the exact posterior, r is uniform on 0, ..., S for every statistic f (Talts et al., 2018, arXiv 1804.06788,
    theorem 1), whatever the model's weights. A q that is too narrow piles ranks up at both ends, one that is too wide
    in the middle, one that is off at one end. The theorem needs draws that are independent of one another, as those
    from a distribution are, and chains that started apart; particles that push one another apart are not. Points that a
    guide holds are drawn without replacement, so that at most as many can be asked for. What is tested is guide and
    fast loop together, on texts that the model itself writes; a prior that can only draw approximately fails with them.

    The statistics: some coordinates of z, some random projections, its norm, and log p(x | z), which also finds a q
    that is right on the average over texts without a look at them, as the prior itself is (Modrák et al., 2023, arXiv
    2211.02383).

    Args:
        model, guide: they share the site `z`.
        fast: the fast loop that fits the guide.
        simulations: simulated pairs of z and x.
        draws: S. S + 1 had better have small divisors (31, 63, 99), which become the numbers of bins.
        batch: sequences that are fitted together.
        at_once: particles in one pass.
        seed: of all noise; the global random state is left as it was.
        statistics: from z of shape (..., L, K, D) to what is ranked instead of coordinates, projections and norm, each
            of shape (...), by name.
        listener: told the number of simulations done, after each batch.

    Raises:
        InputError: for numbers that are too small, ranks that do not divide into bins, a model without thoughts, or a
            guide with fewer points than draws.
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
    """Raises InputError where no ranks could be told from uniform ones, or never were."""
    given = {"simulations": (simulations, 20), "draws": (draws, 3), "batch": (batch, 1), "at_once": (at_once, 1)}
    for name, (value, least) in given.items():
        if value < least:
            raise InputError(f"{name}={value}: expected {least} or more")
    if bins_for(draws, simulations) < LEAST_BINS:
        raise InputError(
            f"draws={draws}, simulations={simulations}: {draws + 1} ranks do not divide into bins of equal width that "
            "each expect 5 simulations: give draws=31, 63 or 99, and more simulations"
        )
    held = None if getattr(guide, "has_density", True) else getattr(guide, "fast_particles", None)
    if held is not None and draws > held:
        raise InputError(
            f"draws={draws}: {type(guide).__name__} holds {held} point{'s' * (held != 1)} a sequence, so that draws "
            "would repeat, and ranks would not be uniform at the posterior itself: ask for as many draws as it has "
            "points, and give it more where it can hold more"
        )
    if getattr(model, "prior", None) is None:
        raise InputError(f"{type(model).__name__} has no thoughts, so that there is no posterior to calibrate")


class _Look:
    """Some coordinates of z, some projections, chosen once, and the norm."""

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
    """z and x from the model, B of each."""
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
    """The rank of the true z among draws of the guide, by statistic, shape (B,)."""
    with pyro.plate("particles", draws, dim=-2):
        drawn = guide(x)
    z = torch.cat((truth[None], drawn))  # (1 + S, B, L, K, D)
    likelihood = torch.cat([_log_likelihood(model, some, x) for some in z.split(at_once)])
    values = {**statistics(z), "log p(x|z)": likelihood}
    return {name: _rank(value).cpu() for name, value in values.items()}


def _rank(values: Tensor) -> Tensor:
    """How many of the others are below the first, (1 + S, B) -> (B,); its place among equal ones is drawn by lot."""
    below, equal = (values[1:] < values[0]).sum(0), (values[1:] == values[0]).sum(0)
    return below + (torch.rand(equal.shape, device=equal.device) * (equal + 1)).long()


def _log_likelihood(model: nn.Module, z: Tensor, x: Tensor) -> Tensor:
    """log p(x | z), (S, B, L, K, D) -> (S, B)."""
    with pyro.plate("particles", len(z), dim=-2):
        trace = poutine.trace(poutine.condition(model, data={"z": z})).get_trace(x)
    site = trace.nodes["x"]
    return site["fn"].log_prob(site["value"]).expand(z.shape[:2])
