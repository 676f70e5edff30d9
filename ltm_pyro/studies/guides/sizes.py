"""Sizes of the measurements in a comparison of guides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST

QUICK: dict[str, Any] = {
    "passes": 16, "long_steps": 48, "draws": 16, "long_draws": 32, "curve": [0, 4, 16], "curve_sequences": 4,
    "rounds": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Sizes of the measurements: budgets, samples, sequences and rounds.

    Args:
        passes: decoder passes per sequence for the fit of every guide; the first guide's time for them is the budget at
            equal time.
        long_steps: fast steps of the long run, which estimates the best q of a family.
        draws: S, samples of z per sequence.
        long_draws: samples of the reference, the tightest importance-weighted bound of the long runs.
        curve: numbers of fast steps at which the bound is measured, each in a separate fit.
        step_sizes: factors on every guide's step size to try; none if empty.
        curve_sequences: number of sequences, the first ones, for curves and step sizes.
        batch_size: sequences in one batch.
        at_once: samples of z in one pass.
        rounds: rounds of timing.

    Raises:
        InputError: if a size is out of range.
    """

    passes: int = 48
    long_steps: int = 400
    draws: int = 32
    long_draws: int = 256
    curve: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 32, 64)
    step_sizes: tuple[float, ...] = ()
    curve_sequences: int = 16
    batch_size: int = 16
    at_once: int = 8
    rounds: int = 5

    def __post_init__(self) -> None:
        minima = {
            "passes": 1,
            "long_steps": 1,
            "draws": 2,
            "long_draws": 2,
            "curve_sequences": 2,
            "batch_size": 1,
            "at_once": 1,
            "rounds": 1,
        }
        for name, smallest in minima.items():
            if not smallest <= getattr(self, name) <= LARGEST:
                raise InputError(f"{name}={getattr(self, name)}: expected {smallest} or more, and {LARGEST} or less")
        if any(not 0 <= steps <= LARGEST for steps in self.curve):
            raise InputError(f"curve={list(self.curve)}: expected numbers of fast steps, 0 or more")
        if any(not 0 < factor < math.inf for factor in self.step_sizes):
            raise InputError(f"step_sizes={list(self.step_sizes)}: expected positive factors")
