"""Readers of file formats, one for each.

A reader takes a path, the field that holds the text, the remarks to which it adds ambiguities, and a conversion of
the field's values, `as_text` unless another is given. It yields ``(place, text)`` for every document in the file;
``place`` is a suffix of the file's name: empty, or ``:3`` for line or row 3. Files are read in blocks, so that they may
be larger than memory; a single document is in memory at once, and so is a ``.json``, which is one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.data.encodings import refusal_of_format
from ltm_pyro.data.fields import (
    Convert,
    ambiguity,
    as_text,
    find_field,
    holds_text,
    is_text,
    refuse_twice,
    row_text,
    value_at,
)
from ltm_pyro.data.json_text import JsonObject, parse_json
from ltm_pyro.data.remarks import Remarks
from ltm_pyro.data.text_file import HEAD, BlockFile, open_file, read_blocks, read_text, split_blocks
from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    import pandas
    from pyarrow import parquet

SEPARATOR = "<|endoftext|>"
ROWS = 1000  # the most rows of a table read at once
SHIFTED = "its rows have more values than its first line has names"
TABLE_BYTES = 2**24  # of a table read at once, roughly

Reader = Callable[..., Iterator["tuple[str, str]"]]  # of a path, a field, remarks and a conversion


def read_plain(
    path: Path, field: str | None, remarks: Remarks, convert: Convert = as_text
) -> Iterator[tuple[str, str]]:
    """Read plain text: one document, or several separated by ``<|endoftext|>``.

    Plain text has no fields: a conversion other than `as_text` converts null for each document.
    """
    parts = split_blocks(read_blocks(path), SEPARATOR)
    first, second = next(parts), next(parts, None)
    if second is None:
        yield "", first if convert is as_text else convert(None, str(path))
        return
    for number, part in enumerate(chain((first, second), parts), start=1):
        yield f":{number}", part.strip("\n") if convert is as_text else convert(None, str(path))


def read_json_lines(
    path: Path, field: str | None, remarks: Remarks, convert: Convert = as_text
) -> Iterator[tuple[str, str]]:
    """Read JSON lines: a string or an object per line; lines end with LF, CRLF or CR."""
    # Not splitlines(): it splits at U+2028 too, which JSON strings may contain. They cannot contain a CR.
    blocks = (block.replace("\r", "\n") for block in read_blocks(path))
    for number, line in enumerate(split_blocks(blocks, "\n"), start=1):
        line = line.removeprefix("\ufeff")  # from concatenated files
        if line.strip():
            row = parse_json(line, path, first_line=number)
            _note_ambiguity(row, field, path, remarks)
            yield f":{number}", row_text(row, field, f"{path}, line {number}", convert)


def read_json(path: Path, field: str | None, remarks: Remarks, convert: Convert = as_text) -> Iterator[tuple[str, str]]:
    """Read one JSON value: a list of strings or objects, one object, or an object from title to text (or to an object).

    An object is one document if it has the given field, or ``text`` if none is given. Otherwise it is a mapping from
    titles if all its values are of one kind: all objects, or all text if no field is given.
    """
    value = parse_json(read_text(path) or "null", path)
    if isinstance(value, JsonObject) and not _maps_titles(value, field):
        remarks.add(path, f"one object, read as one document, its field {'text' if field is None else field!r}")
        yield "", row_text(value, field, str(path), convert)
        return
    for place, row in _entries(value, path, remarks):
        _note_ambiguity(row, field, path, remarks)
        yield f":{place}", row_text(row, field, f"{path}, entry {place!r}", convert)


def read_csv(path: Path, field: str | None, remarks: Remarks, convert: Convert = as_text) -> Iterator[tuple[str, str]]:
    """Read comma-separated values with a line of column names; one document per row."""
    import pandas

    blocks = read_blocks(path)
    start = next((block for block in blocks if block.strip()), None)
    if start is None:
        return
    options = {"dtype": str, "header": None, "keep_default_na": False, "iterator": True}
    try:
        with pandas.read_csv(BlockFile(chain((start,), blocks)), **options) as table:
            names = [str(name) for name in table.get_chunk(1).iloc[0].fillna("")]
            column = _column(names, field, path)
            numbers = count(1)
            for values in _csv_values(table, column):
                for value, number in zip(values, numbers):  # noqa: B905  # `numbers` continues with the next rows
                    yield f":{number}", convert(value, f"{path}, row {number}, column {names[column]!r}")
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        shifted = f": {SHIFTED}" if "Expected" in str(error) else ""
        raise InputError(f"{path} does not parse as CSV: {str(error).strip()}{shifted}") from error


def read_parquet(
    path: Path, field: str | None, remarks: Remarks, convert: Convert = as_text
) -> Iterator[tuple[str, str]]:
    """Read Parquet; one document per row."""
    import pyarrow
    from pyarrow import parquet

    with open_file(path) as raw:
        head = raw.read(HEAD)
        if not head:
            return
        try:
            file = parquet.ParquetFile(raw)
            fields = {column.name: _inner(column.type) for column in file.schema_arrow}
            remarks.add_if(path, ambiguity(fields, field))
            column_path = find_field(fields, field, str(path))
            refuse_twice(file.schema_arrow.names, column_path[0], str(path))
            for number, value in enumerate(_parquet_values(file, column_path), start=1):
                yield f":{number}", convert(value, f"{path}, row {number}, column {'.'.join(column_path)!r}")
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            refusal = None if head.startswith(b"PAR1") else refusal_of_format(path, head)
            raise refusal or InputError(f"{path} does not parse as Parquet: {error}") from error


def _maps_titles(value: JsonObject, field: str | None) -> bool:
    """True if an object is a mapping from titles to documents, and not a document itself."""
    if holds_text(value, field):
        return False
    objects = all(isinstance(entry, dict) for entry in value.values())
    return objects or (field is None and all(is_text(entry) for entry in value.values()))


def _entries(value: object, path: Path, remarks: Remarks) -> Iterable[tuple[str, object]]:
    if value is None:
        return ()
    if isinstance(value, list):
        return ((str(number), row) for number, row in enumerate(value, start=1))
    if isinstance(value, JsonObject):
        objects = any(isinstance(entry, dict) for entry in value.values())
        kind = "object" if objects else "text"
        remarks.add(path, f"one object, read as a mapping from title to {kind}, one document per entry")
        return ((title, row if objects else as_text(row, f"{path}, {title!r}")) for title, row in value.all_items())
    raise InputError(f"{path} holds a single value; expected a list of documents, or an object from title to text")


def _note_ambiguity(row: object, field: str | None, path: Path, remarks: Remarks) -> None:
    if field is not None and isinstance(row, dict):
        remarks.add_if(path, ambiguity(row, field))


def _column(names: list[str], field: str | None, path: Path) -> int:
    (name,) = find_field({name: {} for name in names}, field, str(path))
    refuse_twice(names, name, str(path))
    return names.index(name)


def _csv_values(table: pandas.io.parsers.TextFileReader, column: int) -> Iterator[list[str]]:
    """The values of a column in batches, smaller ones if values are long."""
    rows = 1
    while True:
        try:
            values = table.get_chunk(rows)[column].fillna("").tolist()
        except StopIteration:
            return
        yield values
        longest = max(map(len, values), default=1)
        rows = max(1, min(2 * rows, ROWS, TABLE_BYTES // max(longest, 1)))


def _inner(kind: Any) -> dict[str, Any]:
    """The fields of an Arrow type; none unless it is a struct."""
    import pyarrow

    return {field.name: _inner(field.type) for field in kind} if pyarrow.types.is_struct(kind) else {}


def _parquet_values(file: parquet.ParquetFile, path: tuple[str, ...]) -> Iterator[object]:
    """The values at a path of names, row by row, read in smaller batches if values are long."""
    rows = max(1, min(ROWS, TABLE_BYTES * file.metadata.num_rows // max(_size(file, path[0]), 1)))
    for table in file.iter_batches(rows, columns=[".".join(path)]):  # includes other columns of that name
        for value in table.column(table.schema.get_field_index(path[0])):
            yield value_at(value.as_py(), path[1:])


def _size(file: parquet.ParquetFile, column: str) -> int:
    """The uncompressed size of a column in bytes, nested columns included."""
    groups = (file.metadata.row_group(group) for group in range(file.metadata.num_row_groups))
    chunks = (group.column(i) for group in groups for i in range(group.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == column)


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
