"""Reading one file as UTF-8 text, or saying at which byte that fails."""

from __future__ import annotations

from pathlib import Path

from ltm_pyro.errors import InputError

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark and with LF line ends.

    Raises:
        InputError: the file cannot be opened, is not UTF-8 or holds NUL bytes; the message names file and byte.
    """
    raw = read_bytes(path)
    _refuse_utf16(path, raw)
    _refuse_nul(path, raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x} ({error.reason}). If it is Latin-1, "
            f"convert it: iconv -f latin1 -t utf-8 '{path}' > '{path.with_suffix('.utf8' + path.suffix)}'"
        ) from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; what the operating system refuses becomes an `InputError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _refuse_utf16(path: Path, raw: bytes) -> None:
    if raw.startswith(UTF16_MARKS):
        raise InputError(
            f"{path} is not UTF-8: bytes 0 and 1 are the mark of UTF-16. "
            f"Convert it: iconv -f utf-16 -t utf-8 '{path}' > '{path.with_suffix('.utf8' + path.suffix)}'"
        )


def _refuse_nul(path: Path, raw: bytes) -> None:
    at = raw.find(b"\0")
    if at >= 0:
        raise InputError(
            f"{path} holds a NUL byte at byte {at}: it is not plain text (a binary or damaged file?). "
            f"If the rest is text, remove them: tr -d '\\000' < '{path}' > '{path.with_suffix('.clean' + path.suffix)}'"
        )
