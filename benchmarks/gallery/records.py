"""Committed records: flat CSV files, tables in Markdown, and numbers with their errors."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ltm_pyro.studies.records import Record

NUMBER = re.compile(r"^([+-]?[\d.]+(?:e[+-]?\d+)?)(?: ± ([\d.e+-]+))?(?: \(([\d.e+-]+)\))?$")


def read_csv(path: Path) -> list[Record]:
    """Records of a CSV file; empty cells are left out, numbers are numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: _value(text) for key, text in row.items() if text != ""} for row in csv.DictReader(file)]


def _value(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_tables(path: Path) -> Iterator[list[dict[str, str]]]:
    """Tables of a Markdown file in order, each a list of rows by the heads of the columns, the first of equal heads."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: list[list[str]] = []
    for line in [*lines, ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            yield [dict(zip(rows[0][::-1], row[::-1], strict=True)) for row in rows[2:]]
            rows = []


def with_errors(cell: str, key: str, error: str, seed_error: str) -> Record:
    """Number of a table's cell, `value ± error (error over seeds)`, under three keys; empty if it is none."""
    match = NUMBER.match(cell)
    if match is None:
        return {}
    parts = zip((key, error, seed_error), match.groups(), strict=True)
    return {name: float(text) for name, text in parts if text is not None}
