"""Result of a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class SuiteResult(NamedTuple):
    """Table and records of a suite, and the folder that holds them.

    Attributes:
        table: table in Markdown.
        records: flat dictionaries of plain numbers and text, ready for a data frame.
        folder: folder of the result.
    """

    table: str
    records: list[dict[str, Any]]
    folder: Path
