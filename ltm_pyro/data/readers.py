"""File formats, one reader each.

A reader takes a path and the field that holds the text, and yields ``(place, text)`` for every document in the
file, where ``place`` is what to add to the file's name: nothing, or ``:3`` for line or row 3.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from ltm_pyro.data.fields import as_text, choose_field, row_text
from ltm_pyro.data.text_file import read_bytes, read_text
from ltm_pyro.errors import InputError

SEPARATOR = "<|endoftext|>"

Reader = Callable[[Path, "str | None"], Iterator["tuple[str, str]"]]


def read_plain(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """Plain text: one document, or one between each two ``<|endoftext|>``."""
    text = read_text(path)
    if SEPARATOR not in text:
        yield "", text
        return
    for number, part in enumerate(text.split(SEPARATOR), start=1):
        yield f":{number}", part.strip("\n")


def read_json_lines(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """JSON lines: a string or an object a line."""
    # Not splitlines(): JSON strings may hold U+2028, which it takes for the end of a line.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            row = _parse(line, path, first_line=number)
            yield f":{number}", row_text(row, field, f"{path}, line {number}")


def read_json(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """One JSON value: an object from title to text (or to an object), or a list of strings or objects."""
    text = read_text(path)
    if not text.strip():
        return
    value = _parse(text, path)
    if isinstance(value, dict):
        rows = ((str(title), row) for title, row in value.items())
    elif isinstance(value, list):
        rows = ((str(number), row) for number, row in enumerate(value, start=1))
    else:
        raise InputError(f"{path} holds a single value; expected a list of documents, or an object from title to text")
    for place, row in rows:
        yield f":{place}", row_text(row, field, f"{path}, entry {place!r}")


def read_csv(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """Comma-separated values with a line of column names; a document a row."""
    import pandas

    text = read_text(path)
    if not text.strip():
        return
    try:
        table = pandas.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        raise InputError(f"{path} does not parse as CSV: {str(error).strip()}") from error
    if not isinstance(table.index, pandas.RangeIndex):  # pandas then takes the first columns for row names
        raise InputError(f"{path} does not parse as CSV: its rows have more values than its first line has names")
    name = choose_field(table.columns, field, str(path))
    for number, value in enumerate(table[name].fillna(""), start=1):
        yield f":{number}", as_text(value, f"{path}, row {number}, column {name!r}")


def read_parquet(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """Parquet; a document a row."""
    import pyarrow
    from pyarrow import parquet

    raw = read_bytes(path)
    if not raw:
        return
    try:
        file = parquet.ParquetFile(io.BytesIO(raw))
        name = choose_field(file.schema_arrow.names, field, str(path))
        values = file.read(columns=[name]).column(name).to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} does not parse as Parquet: {error}") from error
    for number, value in enumerate(values, start=1):
        yield f":{number}", as_text(value, f"{path}, row {number}, column {name!r}")


def _parse(text: str, path: Path, first_line: int = 1) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        remedy = ". If it holds one object a line, name it .jsonl" if error.msg == "Extra data" else ""
        raise InputError(
            f"{path}, line {line}, column {error.colno} does not parse as JSON: {error.msg}{remedy}"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of a million digits, a thousand brackets
        raise InputError(f"{path}, from line {first_line} on, does not parse as JSON: {error}") from error


READERS: dict[str, Reader] = {
    ".txt": read_plain,
    ".text": read_plain,
    ".tokens": read_plain,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
