"""Folders that come to stand whole: filled beside their place, then renamed."""

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
    """A new folder, to be filled within the block, which takes the name of `folder` at its end.

    Two processes that make one folder cannot harm one another: the second one's renaming fails, and only what a process
    has made itself is removed. A kill leaves nothing that has the folder's name.

    Args:
        folder: its place; an empty folder there is replaced, a link to one followed.

    Raises:
        OSError: if it cannot be made, or something has come to stand there meanwhile.
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
