"""Tables of rows and records: Markdown that can be read in a terminal too, and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of a Markdown table from a header and rows; the first `left` columns are left-aligned, the others right.

    A bar within a cell, as in p(x|z), is escaped, as Markdown requires.
    """
    rows = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(cells) + " |")
    rule = "| " + " | ".join("-" * (w - 1) + ("-" if i < left else ":") for i, w in enumerate(widths)) + " |"
    return [lines[0], rule, *lines[1:]]


def section(title: str, rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A table with a title above and notes below, from a header and rows."""
    return "\n".join([f"## {title}", "", *aligned(rows), "", *notes])


def to_csv(records: Sequence[dict[str, Any]]) -> str:
    """Records as CSV with a column for every name that occurs, in the order of first occurrence."""
    names = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def with_error(value: float | None, error: float | None, digits: int = 4) -> str:
    """A number with its error, either of which may be unknown."""
    if value is None or math.isnan(value):
        return "–"
    return number(value, digits) + ("" if error is None or math.isnan(error) else f" ± {number(error, digits)}")


def number(value: float | None, digits: int = 4) -> str:
    """A number with `digits` decimals, or three significant digits from 100,000 on; a dash if unknown."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.2e}"
