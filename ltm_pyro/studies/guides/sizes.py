"""How much is measured in a comparison of guides."""

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
    """How much is spent, and how much is drawn.

    Args:
        passes: decoder passes for each sequence that every guide is fitted with; equal time is what the first guide
            takes for them.
        long_steps: fast steps of the long run, which stands for the best that a family can do.
        draws: S, samples of z per sequence.
        long_draws: samples behind the reference, which is the tightest importance-weighted bound of the long runs.
        curve: fast steps at which the bound is measured, each in a fit of its own.
        step_sizes: factors on every guide's step size to try; none if empty.
        curve_sequences: sequences of curves and step sizes, the first of all.
        batch_size: sequences at once.
        at_once: samples of z in one pass.
        rounds: of timing.

    Raises:
        InputError: for sizes that make no sense.
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
        least = {
            "passes": 1,
            "long_steps": 1,
            "draws": 2,
            "long_draws": 2,
            "curve_sequences": 2,
            "batch_size": 1,
            "at_once": 1,
            "rounds": 1,
        }
        for name, smallest in least.items():
            if not smallest <= getattr(self, name) <= LARGEST:
                raise InputError(f"{name}={getattr(self, name)}: expected {smallest} or more, and {LARGEST} or less")
        if any(not 0 <= steps <= LARGEST for steps in self.curve):
            raise InputError(f"curve={list(self.curve)}: expected numbers of fast steps, 0 or more")
        if any(not 0 < factor < math.inf for factor in self.step_sizes):
            raise InputError(f"step_sizes={list(self.step_sizes)}: expected positive factors")
