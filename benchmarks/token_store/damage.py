"""Damage to a store's largest file, and who notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from benchmarks.token_store.stores import AbstractStore

PAGE = 4096


def flipped(content: bytes) -> bytes:
    """One bit is another."""
    return bytes([content[0] ^ 1]) + content[1:]


def zeroed(content: bytes) -> bytes:
    """A page without content, as a full disk or a crash may leave it."""
    return bytes(len(content))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {"a bit flipped": flipped, "a page of zeros": zeroed}
CUT = "its last page cut off"


def verdicts(store: AbstractStore) -> dict[str, str]:
    """By the kind of damage, when it is noticed: `opening`, `reading`, or `never`."""
    found = {}
    for name, change in DAMAGE.items():
        with changed(store.largest, change):
            found[name] = noticed(store)
    with cut_off(store.largest):
        found[CUT] = noticed(store)
    assert noticed(store) == "never", "the damage was not undone"
    return found


def noticed(store: AbstractStore) -> str:
    """The moment at which a store notices damage, if its windows in the middle and at the end are read."""
    try:
        windows = store.open()
    except Exception:
        return "opening"
    try:
        ids = np.array([len(windows) // 2 + step for step in range(-8, 8)]) % len(windows)
        windows.batch(ids)
        windows.batch(np.array([len(windows) - 1]))
    except Exception:
        return "reading"
    return "never"


@contextmanager
def changed(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Within, a page in the middle of a file is another."""
    place = path.stat().st_size // 2 // PAGE * PAGE
    with path.open("r+b") as file:
        file.seek(place)
        before = file.read(PAGE)
        _write(file, place, change(before))
        try:
            yield
        finally:
            _write(file, place, before)


@contextmanager
def cut_off(path: Path) -> Iterator[None]:
    """Within, a file is a page shorter."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - PAGE)
        end = file.read(PAGE)
        file.truncate(size - PAGE)
        try:
            yield
        finally:
            _write(file, size - PAGE, end)


def _write(file: BinaryIO, place: int, content: bytes) -> None:
    file.seek(place)
    file.write(content)
    file.flush()
