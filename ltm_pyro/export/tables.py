"""Files of tables: Parquet, CSV or a JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ltm_pyro.files import finite
from ltm_pyro.files.new_file import new_file

Columns = Mapping[str, np.ndarray]


def write_table(columns: Columns, path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write columns to a new file, in the format of its name.

    Args:
        columns: by name, shape (N,) each; one of shape (N, M) becomes lists of M numbers, in .parquet alone.
        path: ends in .parquet, .csv or .jsonl. NaN and infinite numbers are null in .jsonl.
        about: a description of the table; .parquet holds it as JSON, in the metadata `ltm_pyro` of its schema.

    Raises:
        InputError: if the path is taken, or cannot be written.
    """
    with new_file(path) as temporary:
        TABLES[path.suffix](columns, temporary, about or {})


def _parquet(columns: Columns, path: Path, about: Mapping[str, Any]) -> None:
    from pyarrow import parquet

    table = _table(columns)
    described = {**(table.schema.metadata or {}), "ltm_pyro": json.dumps(finite(dict(about)))}
    parquet.write_table(table.replace_schema_metadata(described), path)


def _csv(columns: Columns, path: Path, about: Mapping[str, Any]) -> None:
    from pyarrow import csv

    csv.write_csv(_table(columns), path)


def _jsonl(columns: Columns, path: Path, about: Mapping[str, Any]) -> None:
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    lines = [json.dumps(finite(dict(zip(columns, row, strict=True))), ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _table(columns: Columns) -> Any:
    import pyarrow

    return pyarrow.table({name: _column(values) for name, values in columns.items()})


def _column(values: np.ndarray) -> Any:
    import pyarrow

    if values.ndim == 1:
        return pyarrow.array(values)
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.ascontiguousarray(values).ravel()), values.shape[1])


TABLES: dict[str, Callable[[Columns, Path, Mapping[str, Any]], None]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
}
