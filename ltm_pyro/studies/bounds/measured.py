"""Records of a comparison of bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ltm_pyro.studies.bounds.slopes import slope_records

Record = dict[str, Any]


@dataclass
class Measured:
    """Records of all finished measurements.

    Attributes:
        pieces: records of every finished measurement, by its name.
        at_particles: S of the summary.
    """

    pieces: dict[str, list[Record]] = field(default_factory=dict)
    at_particles: int = 8

    def to_records(self, part: str | None = None) -> list[Record]:
        """Flat dictionaries of plain numbers and text, ready for a data frame.

        Args:
            part: `tightness`, `weights`, `gradient`, `slope`, `cost`, `inference`, `learning` or `refusal`; all of
                them if None.
        """
        measured = [record for piece in self.pieces.values() for record in piece]
        records = [*measured, *slope_records(measured)]
        return [record for record in records if part in (None, record["part"])]
