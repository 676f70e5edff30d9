"""The result of a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class SuiteResult(NamedTuple):
    """A suite's numbers, as they are kept.

    Attributes:
        table: as Markdown.
        records: flat dictionaries of plain numbers and text, ready for a data frame.
        folder: where they are.
    """

    table: str
    records: list[dict[str, Any]]
    folder: Path
