"""Records in files of one JSON object a line, which survive a kill."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import parse_json, read_bytes, validate, write_text

MOST_BYTES = 2**30
REMEDY = "Delete that line, or move the file away"


def read_lines(path: Path, shape: Any) -> list[Any]:
    """The records of a file, each checked against a type; an incomplete last line, left by a kill, is skipped.

    Args:
        path: of the file; one that does not exist has no records.
        shape: type of a record, as for `files.validate`.

    Raises:
        InputError: for any other line that is no such record, naming it.
    """
    if not path.is_file():
        return []
    lines = read_bytes(path, MOST_BYTES).splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    records = []
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        records.append(validate(parse_json(line, where, REMEDY), shape, where, REMEDY))
    return records


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records to a file, atomically.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        write_text(path, "".join(json.dumps(record) + "\n" for record in records))
    except OSError as error:
        raise _unwritable(path, error) from error


def append_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append records to a file, at once.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        with path.open("ab") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records).encode())
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror or error}. Free some space, then give --resume")
