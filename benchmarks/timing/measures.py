"""Timed measures: values by round, their median and range, and the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Measure:
    """Quantity measured in several rounds.

    Args:
        name: name of the quantity.
        rounds: values by round.
        target: target of the median; None without a target.
        least: the target is a lower limit, else an upper limit.
        unit: unit of the values.
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
        """True if the median reaches the target; None without a target."""
        if self.target is None:
            return None
        return self.median >= self.target if self.least else self.median <= self.target

    def line(self) -> str:
        """Line of text with median, range and target."""
        text = f"{self.name}: {self.median:.3g} {self.unit}".rstrip()
        if len(self.rounds) > 1:
            text += f" ({min(self.rounds):.3g} to {max(self.rounds):.3g})"
        if self.target is None:
            return text
        side = "at least" if self.least else "at most"
        return f"{text}; target {side} {self.target:g}: {'reached' if self.reached else 'MISSED'}"

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Measure:
        """Measure of a record, as `record` gives it."""
        return cls(record["name"], tuple(record["rounds"]), record["target"], record["at_least"], record["unit"])

    def record(self) -> dict[str, Any]:
        """Plain values for JSON."""
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
    """Quotients by round."""
    return tuple(a / b for a, b in zip(over, under, strict=True))


def times_as_fast(
    name: str, theirs: Sequence[float], ours: Sequence[float], target: float | None = None, work: float = 1.0
) -> Measure:
    """Speedup of this library over a reference, by round.

    Args:
        name: name of the measure.
        theirs, ours: seconds of each round, of the reference and of this library.
        target: least speedup.
        work: work of this library in that time over the reference's.
    """
    return Measure(name, tuple(work * ratio for ratio in quotients(theirs, ours)), target)


def rate(name: str, amount: float, seconds: Iterable[float], unit: str = "tokens/s") -> Measure:
    """Amount per second, by round."""
    return Measure(name, tuple(amount / second for second in seconds), unit=unit)
