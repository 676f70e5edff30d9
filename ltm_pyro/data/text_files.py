"""Text files, read so that whatever is wrong with one is said at once."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ltm_pyro.data.document import Document
from ltm_pyro.errors import InputError

SEPARATOR = "<|endoftext|>"  # what separates the documents of one .txt file
FIELD = "text"  # where a row's text is looked for, unless told otherwise


def read_path(path: Path, field: str | None) -> list[Document]:
    """All documents of a file, or of a folder's files in the order of their names.

    Raises:
        InputError: for a path that is missing, or holds no text that can be read.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist. {_near(path)}")
    if path.is_file():
        return _read_file(path, field)
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in READERS)
    if not files:
        raise InputError(f"{path} holds no file that can be read: expected {', '.join(READERS)}")
    return [document for file in files for document in _read_file(file, field)]


def _read_file(path: Path, field: str | None) -> list[Document]:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} has an unknown ending: expected {', '.join(READERS)}; rename plain text to .txt")
    try:
        texts = [text for text in reader(path, field) if text.strip()]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its permissions") from error
    if not texts:
        raise InputError(f"{path} is empty: give a file with text in it, or leave it out")
    if len(texts) == 1:
        return [Document(texts[0], str(path), str(path))]
    return [Document(text, f"{path}:{i}", f"{path}:{i}") for i, text in enumerate(texts, 1)]


def decode(content: bytes, path: Path) -> str:
    """UTF-8 text, without a byte-order mark and with line feeds alone.

    Raises:
        InputError: for bytes that are not text, naming the first.
    """
    nul = content.find(b"\0")
    if nul >= 0:
        raise InputError(
            f"{path}: byte {nul} is NUL, so this is not UTF-8 text: convert it (`iconv -f utf-16 -t utf-8`) "
            "or remove the byte"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} (0x{error.object[error.start]:02x}) is not UTF-8: "
            f"convert the file, for example by `iconv -f latin1 -t utf-8 {path.name}`"
        ) from error
    return text.replace("\r\n", "\n")


def _read_txt(path: Path, field: str | None) -> Iterable[str]:
    return [part.strip("\n") for part in decode(path.read_bytes(), path).split(SEPARATOR)]


def _read_jsonl(path: Path, field: str | None) -> Iterator[str]:
    for number, line in enumerate(decode(path.read_bytes(), path).split("\n"), 1):
        if line.strip():
            yield _text_of(_parse(line, f"{path}, line {number}"), field, f"{path}, line {number}")


def _read_json(path: Path, field: str | None) -> Iterator[str]:
    """A list of texts or of objects, or one object from titles to texts."""
    content = _parse(decode(path.read_bytes(), path), str(path))
    for row in content.values() if isinstance(content, dict) else content:
        yield _text_of(row, field, str(path))


def _read_csv(path: Path, field: str | None) -> Iterator[str]:
    limit = csv.field_size_limit(2**31 - 1)  # the module's own is 128 kB
    try:
        for row in csv.DictReader(io.StringIO(decode(path.read_bytes(), path))):
            yield _text_of(row, field, str(path))
    finally:
        csv.field_size_limit(limit)


def _read_parquet(path: Path, field: str | None) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"{path} is not a Parquet file: {error}") from error
    return texts_of(table.column_names, lambda name: table[name].to_pylist(), field, str(path))


def texts_of(columns: list[str], column: Callable[[str], Any], field: str | None, where: str) -> Iterator[str]:
    """The texts of a table's column: `field`, or the one named `text`."""
    text = _text_of(dict.fromkeys(columns, ""), field, where) or field or FIELD
    return (str(value) for value in column(text) if value is not None)


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: this is not JSON: {error}") from error


def _text_of(row: Any, field: str | None, where: str) -> str:
    """The text in a row of a table, or the row itself if it is a text."""
    if isinstance(row, str):
        return row
    name = field or FIELD
    if not isinstance(row, dict) or name not in row:
        there = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise InputError(f"{where} has no field {name!r}: name the one that holds the text by --data.field; there is: {there}")
    return str(row[name] or "")


def _near(path: Path) -> str:
    parent = path.parent if path.parent.is_dir() else Path()
    near = difflib.get_close_matches(path.name, [file.name for file in parent.iterdir()], n=3)
    return f"Near it: {', '.join(near)}" if near else "Give a file, a folder, or hf:NAME for the Hugging Face hub"


READERS: dict[str, Callable[[Path, str | None], Iterable[str]]] = {
    ".txt": _read_txt,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
