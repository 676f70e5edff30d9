"""A folder that is a run's or a study's own throughout: links and what is neither file nor folder are refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ltm_pyro.errors import InputError
from ltm_pyro.files.opening import kind_of


def refuse_links(folder: Path) -> None:
    """Refuse a folder in which anything leads out of it, so that nothing is read from or written to elsewhere.

    The folder itself may be reached by a link.

    Raises:
        InputError: naming the first link, pipe, socket or device below it.
    """
    for entry in _entries(folder):
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except FileNotFoundError:  # a run that is being trained renames and removes its own files
            continue
        if stat.S_ISLNK(mode) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            leads = f" to {os.readlink(entry.path)}" if stat.S_ISLNK(mode) else ""
            raise InputError(
                f"{entry.path} is {kind_of(mode)}{leads}: what lies in {folder} is read and written there alone, and "
                "links are not followed. Put the file or folder itself in its place, or remove it"
            )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder that can be listed, without following a link."""
    folders = [os.fspath(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # not there, or not to be listed: whoever opens it says so
            continue
