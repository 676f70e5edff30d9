"""Atomic creation of folders: filled under a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made_aside(folder: Path) -> Iterator[Path]:
    """Context manager with a temporary folder to be filled, which is renamed to `folder` at its end.

    Of two processes that make one folder the second fails to rename its own and removes only that. A killed process
    leaves nothing under the folder's name.

    Args:
        folder: the final path; an empty folder there is replaced, a link to one followed.

    Raises:
        OSError: if the folder cannot be made, or the path has been taken meanwhile.
    """
    place = Path(os.path.realpath(folder))
    if place.parent.is_file():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place.parent))
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{secrets.token_hex(6)}.part")
    beside.mkdir()
    try:
        yield beside
        beside.rename(place)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
