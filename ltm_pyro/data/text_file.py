"""Reading of a file as UTF-8 text, in blocks or at once, with errors that name the byte."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ltm_pyro.data.encodings import refusal_of_bytes
from ltm_pyro.errors import InputError

BLOCK = 2**20
HEAD = 20_000  # bytes at the beginning of a file, from which its kind is determined


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark and with LF line ends.

    Raises:
        InputError: if the file cannot be opened, is not UTF-8 or holds NUL bytes, naming file and byte.
    """
    return "".join(read_blocks(path))


def read_blocks(path: Path) -> Iterator[str]:
    """The text of a file as from `read_text`, in blocks, with memory that does not grow with the file."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    place, begun, head = 0, False, b""
    pending = ""  # a CR at the end of a block, kept until the next block shows whether an LF follows
    for raw in _raw_blocks(path):
        head = head or raw[:HEAD]
        text = pending + _decoded(decoder, path, raw, place, head)
        text = text if begun else text.removeprefix("\ufeff")
        begun = begun or bool(text)
        pending = "\r" if raw and text.endswith("\r") else ""
        yield text.removesuffix(pending).replace("\r\n", "\n")
        place += len(raw)


def split_blocks(blocks: Iterator[str], separator: str) -> Iterator[str]:
    """Pieces between separators, as ``"".join(blocks).split(separator)``, one at a time."""
    parts: list[str] = []  # of the current piece
    edge = ""  # the last characters so far, which may begin a separator
    for block in blocks:
        *ends, remainder = (edge + block).split(separator)
        for end in ends:
            parts.append(end)
            piece, parts = "".join(parts), []
            yield piece
        at = max(len(remainder) - len(separator) + 1, 0)
        parts.append(remainder[:at])
        edge = remainder[at:]
    parts.append(edge)
    piece, parts = "".join(parts), []  # frees the parts before the piece is used
    yield piece


class BlockFile(io.TextIOBase):
    """File object that reads from blocks of text, for libraries that take an open file."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks, self._rest = blocks, ""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        """The next characters, at most `size`; all remaining ones if it is negative or None."""
        if size is None or size < 0:
            text, self._rest = self._rest + "".join(self._blocks), ""
            return text
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return ""
            self._rest = block
        text, self._rest = self._rest[:size], self._rest[size:]
        return text


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading bytes; an error of the operating system becomes an `InputError`."""
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _raw_blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file in blocks, and an empty one at its end."""
    with open_file(path) as file:
        while raw := _read(file, path):
            yield raw
    yield b""


def _read(file: BinaryIO, path: Path) -> bytes:
    try:
        return file.read(BLOCK)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _decoded(decoder: codecs.IncrementalDecoder, path: Path, raw: bytes, place: int, head: bytes) -> str:
    waiting, _ = decoder.getstate()  # bytes of a character that is divided between blocks
    nul = raw.find(b"\0")
    if nul >= 0:
        raise refusal_of_bytes(path, head, raw, f"a NUL byte at byte {place + nul}")
    try:
        return decoder.decode(raw, final=not raw)
    except UnicodeDecodeError as error:
        at, byte = place - len(waiting) + error.start, error.object[error.start]
        fault = f"byte {at} is 0x{byte:02x} ({error.reason})"
        raise refusal_of_bytes(path, head, waiting + raw, fault) from error
