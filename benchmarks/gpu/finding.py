"""The finding of a part: its measures, and what it left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.timing.measures import Measure
from ltm_pyro.tables import aligned


@dataclass(frozen=True)
class Finding:
    """Measures of one part, and the reasons why others were not taken.

    A measure's target is a tolerance here: one that is missed is a failure. Speeds have none.
    """

    measures: list[Measure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def outside(self) -> list[Measure]:
        """The measures that are outside their tolerance."""
        return [measure for measure in self.measures if measure.reached is False]

    def named(self, part: str) -> list[Measure]:
        """The measures, with the part's name before theirs."""
        return [replace(measure, name=f"{part}: {measure.name}") for measure in self.measures]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {"measures": [measure.record() for measure in self.measures], "skipped": self.skipped}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Finding:
        """From a record."""
        columns = ("name", "rounds", "target", "at_least", "unit")
        rows = [[measure[column] for column in columns] for measure in record["measures"]]
        measures = [Measure(name, tuple(rounds), *rest) for name, rounds, *rest in rows]
        return cls(measures, list(record["skipped"]))


def tolerance(name: str, value: float, most: float, unit: str = "") -> Measure:
    """A difference and the most that it may be."""
    return Measure(name, (value,), most, least=False, unit=unit)


def table(measures: Iterable[Measure]) -> str:
    """A row for each measure: its median, its range over the rounds, and its tolerance."""
    return "\n".join(aligned([["measure", "median", "range", "tolerance", ""], *map(_row, measures)]))


def _row(measure: Measure) -> list[str]:
    several = len(measure.rounds) > 1
    side = "at least" if measure.least else "at most"
    return [
        measure.name,
        f"{measure.median:.3g} {measure.unit}".rstrip(),
        f"{min(measure.rounds):.3g} to {max(measure.rounds):.3g}" if several else "",
        "" if measure.target is None else f"{side} {measure.target:g}",
        {None: "", True: "holds", False: "FAILS"}[measure.reached],
    ]
