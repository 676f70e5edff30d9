"""Reading one file as UTF-8 text, in blocks or whole, or saying at which byte that fails."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ltm_pyro.data.encodings import refusal_of_bytes
from ltm_pyro.errors import InputError

BLOCK = 2**20
HEAD = 20_000  # bytes at the beginning, which tell what kind of file it is


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark and with LF line ends.

    Raises:
        InputError: the file cannot be opened, is not UTF-8 or holds NUL bytes; the message names file and byte.
    """
    return "".join(read_blocks(path))


def read_blocks(path: Path) -> Iterator[str]:
    """The text of `read_text`, a block at a time: the memory this takes does not grow with the file."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    place, begun, head = 0, False, b""
    held = ""  # a CR at the end of a block waits for what follows it
    for raw in _raw_blocks(path):
        head = head or raw[:HEAD]
        text = held + _decoded(decoder, path, raw, place, head)
        text = text if begun else text.removeprefix("\ufeff")
        begun = begun or bool(text)
        held = "\r" if raw and text.endswith("\r") else ""
        yield text.removesuffix(held).replace("\r\n", "\n")
        place += len(raw)


def split_blocks(blocks: Iterator[str], separator: str) -> Iterator[str]:
    """``"".join(blocks).split(separator)``, a piece at a time."""
    held: list[str] = []
    edge = ""  # the last characters so far: they may begin a separator
    for block in blocks:
        *pieces, rest = (edge + block).split(separator)
        for piece in pieces:
            held.append(piece)
            whole, held = "".join(held), []
            yield whole
        at = max(len(rest) - len(separator) + 1, 0)
        held.append(rest[:at])
        edge = rest[at:]
    held.append(edge)
    whole, held = "".join(held), []  # what it is made of is let go
    yield whole


class BlockFile(io.TextIOBase):
    """Blocks of text as an open file, for libraries that read from one."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks, self._rest = blocks, ""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        """The next characters, at most `size`; all that are left if it is negative or None."""
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
    """A file to read bytes from; what the operating system refuses becomes an `InputError`."""
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
    waiting, _ = decoder.getstate()  # bytes of a character that a block's end has cut
    nul = raw.find(b"\0")
    if nul >= 0:
        raise refusal_of_bytes(path, head, raw, f"a NUL byte at byte {place + nul}")
    try:
        return decoder.decode(raw, final=not raw)
    except UnicodeDecodeError as error:
        at, byte = place - len(waiting) + error.start, error.object[error.start]
        fault = f"byte {at} is 0x{byte:02x} ({error.reason})"
        raise refusal_of_bytes(path, head, waiting + raw, fault) from error
