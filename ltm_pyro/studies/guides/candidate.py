"""A guide to compare, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn

from ltm_pyro.data import Batch
from ltm_pyro.inference import FastLoop
from ltm_pyro.studies.bounds.cost import alternately, count_passes, saved_bytes


@dataclass
class Candidate:
    """A guide, and the fast loop that fits it.

    Attributes:
        name: as it stands in the tables.
        guide: its global parameters are trained already.
        fast: its own optimizer and learning rate.
        training_passes: decoder passes through training sequences that its global parameters took.
    """

    name: str
    guide: Any
    fast: FastLoop
    training_passes: int = 0

    def at_rate(self, factor: float) -> Candidate:
        """The same with another step size: a factor on that of the guide."""
        fast = copy(self.fast)
        fast.learning_rate *= factor
        return Candidate(self.name, self.guide, fast, self.training_passes)

    def fit(self, model: nn.Module, batch: Batch, steps: int) -> None:
        """Fit q on a batch from its start."""
        self.fast.lasting(steps).fit(model, self.guide, **batch.inputs)


class Cost(NamedTuple):
    """The cost of fitting q: a start and end that are always there, and every step.

    Attributes:
        passes, seconds: of start and end, for each sequence.
        passes_per_step, seconds_per_step: for each sequence; zero where nothing is local.
        bytes_of_q: local parameters of a sequence.
        bytes_of_step: kept for `backward` in a step, for each sequence; the peak on CUDA.
    """

    passes: int
    seconds: float
    passes_per_step: int
    seconds_per_step: float
    bytes_of_q: int
    bytes_of_step: int

    def steps_within_passes(self, passes: float) -> int:
        """How many steps fit into so many passes; 0 where nothing is local."""
        return max(0, int((passes - self.passes) // self.passes_per_step)) if self.passes_per_step else 0

    def steps_within_seconds(self, seconds: float) -> int:
        """How many steps fit into so many seconds for each sequence; 0 where nothing is local."""
        return max(0, round((seconds - self.seconds) / self.seconds_per_step)) if self.passes_per_step else 0


TIMED = 4  # steps in a fit that is timed


def measure_costs(model: nn.Module, candidates: Sequence[Candidate], batch: Batch, rounds: int = 5) -> dict[str, Cost]:
    """The cost of every candidate by name, timed in turns, medians over rounds."""
    fits: dict[Any, Callable[[], None]] = {
        (one.name, steps): partial(one.fit, model, batch, steps) for one in candidates for steps in (0, TIMED)
    }
    passes = {key: count_passes(fit) for key, fit in fits.items()}
    seconds = {key: median(found) for key, found in alternately(fits, rounds, batch.x.device).items()}
    return {one.name: _cost(model, one, batch, passes, seconds) for one in candidates}


def _cost(model: nn.Module, one: Candidate, batch: Batch, passes: Any, seconds: Any) -> Cost:
    start, timed = (one.name, 0), (one.name, TIMED)
    each = (passes[timed] - passes[start]) // TIMED
    one.fit(model, batch, 0)
    rows = one.guide.local_parameters()
    step = partial(one.fit, model, batch, 1)
    return Cost(
        passes=passes[start],
        seconds=seconds[start] / len(batch.x),
        passes_per_step=each,
        seconds_per_step=max(seconds[timed] - seconds[start], 1e-9) / TIMED / len(batch.x) if each else 0.0,
        bytes_of_q=sum(row.nelement() * row.element_size() for row in rows) // len(batch.x),
        bytes_of_step=saved_bytes(step, torch.device(batch.x.device)) // len(batch.x) if each else 0,
    )
