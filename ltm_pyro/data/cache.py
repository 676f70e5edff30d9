"""A folder of results that are made once: whole or not there, checked when read, and never missed when gone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ltm_pyro.files.cache_folder import cache_folder

HEADER = "header.json"
OURS = re.compile(r"[0-9a-f]{32}\.\w+\.unfinished")
BLOCK = 2**20  # bytes at once
UNFINISHED = ".unfinished"
ABANDONED = 7 * 86_400.0  # seconds after which an unfinished entry is one that was interrupted


class Entry(NamedTuple):
    """Files that were made together, and what their maker notes about them."""

    folder: Path
    notes: dict[str, Any]

    def note(self, name: str, make: Callable[[], str]) -> str:
        """A text that belongs to the entry, made when it is first asked for; it is kept if that is possible."""
        path = self.folder / f"{name}.json"
        kept = _read_json(path)
        if isinstance(kept, str):
            return kept
        text = make()
        with suppress(OSError):
            _write_json(path, text)
        return text


class Cache:
    """Entries by key, each a folder with its files and a header that tells their sizes and checksums.

    An entry is written beside its place and renamed when it is whole, so that several processes may make the same one
    at once, and an interrupted one leaves nothing behind that would be taken for an entry. The folder may be deleted
    at any time.

    Args:
        folder: where they lie; made when the first entry is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def at(cls, setting: str | None = None) -> Cache | None:
        """The cache that a setting asks for; None if there is to be none.

        Args:
            setting: a folder, or `none` or nothing at all; if left out, `$LTM_CACHE` says it, else the folder is
                `$XDG_CACHE_HOME/ltm_pyro`, else `~/.cache/ltm_pyro`.
        """
        folder = cache_folder(setting)
        return None if folder is None else cls(folder)

    def find(self, key: str) -> Entry | None:
        """The entry of a key; None if there is none, or it is damaged."""
        folder = self.folder / key
        header = _read_json(folder / HEADER)
        if not isinstance(header, dict):
            return None
        try:
            sizes = all((folder / name).stat().st_size == size for name, (size, _) in header["files"].items())
            whole = sizes and all(_seal(folder / name) == seal for name, seal in header["files"].items())
        except OSError:
            return None
        return Entry(folder, header["notes"]) if whole else None

    def add(self, key: str, fill: Callable[[Path], dict[str, Any]]) -> Entry:
        """Make an entry in the place of a missing or damaged one.

        Args:
            key: its name.
            fill: writes the files into a folder; returns the notes, plain values.

        Raises:
            OSError: if it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        unfinished = self._beside(key)
        try:
            notes = fill(unfinished)
            files = {path.name: _seal(path, sync=True) for path in sorted(unfinished.iterdir())}
            _write_json(unfinished / HEADER, {"files": files, "notes": notes})
            return self._put(key, unfinished) or Entry(self.folder / key, notes)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)  # there only if something went wrong, or another was faster

    def _put(self, key: str, unfinished: Path) -> Entry | None:
        """Rename a new entry to its place; returns the one that is there, if it was made meanwhile."""
        place = self.folder / key
        try:
            unfinished.rename(place)
        except OSError:
            if found := self.find(key):
                return found
            damaged = self._beside(key)
            with suppress(OSError):  # another process may have done the same
                place.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
            unfinished.rename(place)
        return None

    def _beside(self, key: str) -> Path:
        folder = self.folder / f"{key}.{secrets.token_hex(8)}{UNFINISHED}"
        folder.mkdir()  # for whom the umask says: others may use the same cache
        return folder

    def _sweep(self) -> None:
        """Remove what interrupted processes have left, and nothing else: the folder may hold other things."""
        for path in self.folder.glob(f"*{UNFINISHED}"):
            with suppress(OSError):
                if OURS.fullmatch(path.name) and time.time() - path.stat().st_mtime > ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)


def key_of(*parts: str) -> str:
    """A key that differs wherever one of the parts does."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _seal(path: Path, sync: bool = False) -> list[int]:
    """The size of a file and the CRC-32 of all of it, which notices any error of up to 32 bits in a row."""
    size = checksum = 0
    with path.open("r+b" if sync else "rb") as file:
        if sync:
            os.fsync(file.fileno())
        while block := file.read(BLOCK):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    return [size, checksum]


def _read_json(path: Path) -> Any:
    """The content that `_write_json` wrote; None if it is not there, or no longer as it was written."""
    try:
        checked = json.loads(path.read_text(encoding="utf-8"))
        return checked["content"] if checked["check"] == _check(checked["content"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write_json(path: Path, content: Any) -> None:
    """Write plain values and their checksum, all at once."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps({"check": _check(content), "content": content}), encoding="utf-8")
    unfinished.replace(path)


def _check(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
