"""File formats, one reader each.

A reader takes a path and the field that holds the text, and yields ``(place, text)`` for every document in the
file, where ``place`` is what to add to the file's name: nothing, or ``:3`` for line or row 3. Files are read bit by
bit, so that they may be larger than memory; one document is held whole, and so is a ``.json``, which is one value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path

from ltm_pyro.data.fields import as_text, choose_field, row_text
from ltm_pyro.data.text_file import BlockFile, open_file, read_blocks, read_text, split_blocks
from ltm_pyro.errors import InputError

SEPARATOR = "<|endoftext|>"
ROWS = 1000  # at once, of a table
SHIFTED = "its rows have more values than its first line has names"

Reader = Callable[[Path, "str | None"], Iterator["tuple[str, str]"]]


def read_plain(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """Plain text: one document, or one between each two ``<|endoftext|>``."""
    parts = split_blocks(read_blocks(path), SEPARATOR)
    first, second = next(parts), next(parts, None)
    if second is None:
        yield "", first
        return
    for number, part in enumerate(chain((first, second), parts), start=1):
        yield f":{number}", part.strip("\n")


def read_json_lines(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """JSON lines: a string or an object a line."""
    # Not splitlines(): JSON strings may hold U+2028, which it takes for the end of a line.
    for number, line in enumerate(split_blocks(read_blocks(path), "\n"), start=1):
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

    blocks = read_blocks(path)
    start = next((block for block in blocks if block.strip()), None)
    if start is None:
        return
    numbers = count(1)
    try:
        for table in pandas.read_csv(
            BlockFile(chain((start,), blocks)), dtype=str, keep_default_na=False, chunksize=ROWS
        ):
            if not isinstance(table.index, pandas.RangeIndex):  # pandas then takes the first columns for row names
                raise InputError(f"{path} does not parse as CSV: {SHIFTED}")
            name = choose_field(table.columns, field, str(path))
            for value, number in zip(table[name].fillna(""), numbers):  # noqa: B905  # they go on with the next rows
                yield f":{number}", as_text(value, f"{path}, row {number}, column {name!r}")
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        raise InputError(f"{path} does not parse as CSV: {str(error).strip()}") from error


def read_parquet(path: Path, field: str | None = None) -> Iterator[tuple[str, str]]:
    """Parquet; a document a row."""
    import pyarrow
    from pyarrow import parquet

    numbers = count(1)
    with open_file(path) as raw:
        if not raw.read(1):
            return
        try:
            file = parquet.ParquetFile(raw)
            name = choose_field(file.schema_arrow.names, field, str(path))
            for rows in file.iter_batches(ROWS, columns=[name]):
                for value, number in zip(rows.column(0).to_pylist(), numbers):  # noqa: B905
                    yield f":{number}", as_text(value, f"{path}, row {number}, column {name!r}")
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} does not parse as Parquet: {error}") from error


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
