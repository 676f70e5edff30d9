"""Check of a run's or a study's folder: links, and entries that are neither file nor folder, are refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ltm_pyro.errors import InputError
from ltm_pyro.files.opening import kind_of


def refuse_links(folder: Path) -> None:
    """Refuse a folder that contains a link or a special file, so that nothing outside it is read or written.

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
                f"{entry.path} is {kind_of(mode)}{leads}: {folder} may hold files and folders only, and links in it "
                "are not followed. Replace it by the file or folder itself, or remove it"
            )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every entry below a folder, links not followed; folders that cannot be listed are skipped."""
    folders = [os.fspath(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # missing or unreadable: opening it raises the error
            continue
