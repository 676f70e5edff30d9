"""Candidate of a comparison of guides, and the cost of its fit."""

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
    """Guide with the fast loop that fits it.

    Attributes:
        name: name in tables.
        guide: the guide, its global parameters trained already.
        fast: fast loop with the optimizer and the learning rate of this guide.
        training_passes: decoder passes through training sequences for the guide's global parameters.
    """

    name: str
    guide: Any
    fast: FastLoop
    training_passes: int = 0

    def at_rate(self, factor: float) -> Candidate:
        """Candidate with its learning rate multiplied by a factor."""
        fast = copy(self.fast)
        fast.learning_rate *= factor
        return Candidate(self.name, self.guide, fast, self.training_passes)

    def fit(self, model: nn.Module, batch: Batch, steps: int) -> None:
        """Fit q on a batch from its start."""
        self.fast.lasting(steps).fit(model, self.guide, **batch.inputs)


class Cost(NamedTuple):
    """Cost of fitting q per sequence: a fixed part for start and end, and a part per step.

    Attributes:
        passes, seconds: decoder passes and seconds of start and end.
        passes_per_step, seconds_per_step: passes and seconds of a step; zero for guides without local parameters.
        bytes_of_q: size of the local parameters.
        bytes_of_step: memory kept for `backward` in a step; the peak on CUDA.
    """

    passes: int
    seconds: float
    passes_per_step: int
    seconds_per_step: float
    bytes_of_q: int
    bytes_of_step: int

    def steps_within_passes(self, passes: float) -> int:
        """Number of steps within a number of decoder passes; 0 for guides without local parameters."""
        return max(0, int((passes - self.passes) // self.passes_per_step)) if self.passes_per_step else 0

    def steps_within_seconds(self, seconds: float) -> int:
        """Number of steps within the seconds per sequence; 0 for guides without local parameters."""
        return max(0, round((seconds - self.seconds) / self.seconds_per_step)) if self.passes_per_step else 0


TIMED = 4  # steps of a timed fit


def measure_costs(model: nn.Module, candidates: Sequence[Candidate], batch: Batch, rounds: int = 5) -> dict[str, Cost]:
    """Costs of all candidates by name, timed in turn, medians over rounds."""
    fits: dict[Any, Callable[[], None]] = {
        (candidate.name, steps): partial(candidate.fit, model, batch, steps)
        for candidate in candidates
        for steps in (0, TIMED)
    }
    passes = {key: count_passes(fit) for key, fit in fits.items()}
    seconds = {key: median(times) for key, times in alternately(fits, rounds, batch.x.device).items()}
    return {candidate.name: _cost(model, candidate, batch, passes, seconds) for candidate in candidates}


def _cost(model: nn.Module, candidate: Candidate, batch: Batch, passes: Any, seconds: Any) -> Cost:
    start, timed = (candidate.name, 0), (candidate.name, TIMED)
    per_step = (passes[timed] - passes[start]) // TIMED
    candidate.fit(model, batch, 0)
    rows = candidate.guide.local_parameters()
    step = partial(candidate.fit, model, batch, 1)
    return Cost(
        passes=passes[start],
        seconds=seconds[start] / len(batch.x),
        passes_per_step=per_step,
        seconds_per_step=max(seconds[timed] - seconds[start], 1e-9) / TIMED / len(batch.x) if per_step else 0.0,
        bytes_of_q=sum(row.nelement() * row.element_size() for row in rows) // len(batch.x),
        bytes_of_step=saved_bytes(step, torch.device(batch.x.device)) // len(batch.x) if per_step else 0,
    )
