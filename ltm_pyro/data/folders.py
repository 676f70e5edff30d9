"""The files below a folder, links included."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from ltm_pyro.errors import InputError

Identity = tuple[int, int]  # device and inode


def entries_below(folder: Path) -> list[Path]:
    """All entries below a folder that are no folders, symbolic links last; hidden entries are left out.

    Cyclic links are harmless, since no folder is listed twice.

    Raises:
        InputError: if a folder cannot be listed.
    """
    entries: list[Path] = []
    waiting, linked, visited = deque([folder]), deque[Path](), set[Identity]()
    while waiting or linked:
        current = (waiting or linked).popleft()
        if identity(current) not in visited:
            visited.add(identity(current))
            for path in _shown(current):
                (entries if not path.is_dir() else linked if path.is_symlink() else waiting).append(path)
    return sorted(entries, key=lambda path: path.is_symlink())


def once(files: Iterable[Path]) -> list[Path]:
    """The files without those that are an earlier file under another name."""
    first: dict[Identity, Path] = {}
    for file in files:
        first.setdefault(identity(file), file)
    return list(first.values())


def identity(path: Path) -> Identity:
    """Device and inode of a path, links followed: equal for two paths of one file or folder.

    Raises:
        InputError: if the path cannot be read.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return stat.st_dev, stat.st_ino


def _shown(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror or error}") from error


def kind_of(path: Path) -> str:
    """The kind of a path that is neither a file nor a folder, in words for a message."""
    if path.is_symlink() and not path.exists():
        return "a link that leads nowhere"
    kinds = {"a named pipe": path.is_fifo, "a socket": path.is_socket}
    return next((kind for kind, holds in kinds.items() if holds()), "no ordinary file")
