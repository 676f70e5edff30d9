"""Reading of regular files of limited size: a link, pipe, device or folder in the place of a file is refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ltm_pyro.errors import InputError

MOST = 64 * 2**20  # bytes, the default limit of a file that is read at once
RESTORE = "Restore it from a copy"
_SAFELY = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)  # a pipe never blocks
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISREG, "a file"),
)


def open_regular(path: Path, remedy: str = RESTORE, follow: bool = False) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        path: of the file.
        remedy: the last sentence of a refusal, without a full stop.
        follow: True if the file itself may be a link: for a path that the user gives, not for one inside a run.

    Raises:
        InputError: if the file is missing, unreadable, a link, or no regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _SAFELY | (0 if follow else _NO_LINK))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _refusal(path, _reason(path, error), remedy) from error
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise _refusal(path, f"it is {kind_of(mode)}, expected a file", remedy)
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, most: int = MOST, remedy: str = RESTORE, follow: bool = False) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises:
        InputError: as `open_regular`, or if the file is larger.
    """
    with open_regular(path, remedy, follow) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise _refusal(path, error.strerror or str(error), remedy) from error
    if len(content) > most:
        raise _refusal(path, f"it is larger than {most:,} bytes, the limit for this file", remedy)
    return content


def read_text(path: Path, most: int = MOST, remedy: str = RESTORE, follow: bool = False) -> str:
    """The content of a regular UTF-8 file.

    Raises:
        InputError: as `read_bytes`, or if the content is not UTF-8.
    """
    content = read_bytes(path, most, remedy, follow)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refusal(path, f"it is not UTF-8 at byte {error.start:,}", remedy) from error


def kind_of(mode: int) -> str:
    """The kind of a file from its mode, in words for a message."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")


def _reason(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "it is a link, and links inside a run are not followed"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _refusal(path: Path, reason: str, remedy: str) -> InputError:
    return InputError(f"{path} cannot be read: {reason}. {remedy}")
