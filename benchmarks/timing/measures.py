"""Measurements from the clock: one number a round, their median and range, and the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Measure:
    """A quantity, measured in several rounds.

    Args:
        name: what it is.
        rounds: its values.
        target: what it should reach; None if nothing was promised.
        least: whether the target is the least that will do, not the most.
        unit: behind the number.
    """

    name: str
    rounds: tuple[float, ...]
    target: float | None = None
    least: bool = True
    unit: str = "times"

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        if self.target is None:
            return None
        return self.median >= self.target if self.least else self.median <= self.target

    def line(self) -> str:
        """In words."""
        text = f"{self.name}: {self.median:.3g} {self.unit}".rstrip()
        if len(self.rounds) > 1:
            text += f" ({min(self.rounds):.3g} to {max(self.rounds):.3g})"
        if self.target is None:
            return text
        side = "at least" if self.least else "at most"
        return f"{text}; target {side} {self.target:g}: {'reached' if self.reached else 'MISSED'}"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "median": self.median,
            "low": min(self.rounds),
            "high": max(self.rounds),
            "unit": self.unit,
            "target": self.target,
            "at_least": self.least,
            "reached": self.reached,
            "rounds": list(self.rounds),
        }


def quotients(over: Iterable[float], under: Iterable[float]) -> tuple[float, ...]:
    """Round by round."""
    return tuple(one / other for one, other in zip(over, under, strict=True))


def times_as_fast(
    name: str, theirs: Sequence[float], ours: Sequence[float], target: float | None = None, work: float = 1.0
) -> Measure:
    """How many times as fast we are, round by round.

    Args:
        name: of the measure.
        theirs, ours: seconds of each round.
        target: the least that will do.
        work: how much more we did in that time than they.
    """
    return Measure(name, tuple(work * ratio for ratio in quotients(theirs, ours)), target)


def rate(name: str, amount: float, seconds: Iterable[float], unit: str = "tokens/s") -> Measure:
    """An amount for each second."""
    return Measure(name, tuple(amount / second for second in seconds), unit=unit)
