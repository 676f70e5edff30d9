"""A run is trained by one process at a time, which holds its lock."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json, write_text
from ltm_pyro.training.launch import is_first
from ltm_pyro.training.run import CONFIG

LOCK, HOLDER = ".lock", ".lock-holder.json"
HOLDER_BYTES = 4096


class RunLock:
    """Holds the lock of a run's folder until the block ends; of several processes the first one holds it for all.

    The system takes the lock back from a process that is killed, so that none is left behind; the note of who holds it
    counts only while somebody does. On file systems without locks `filelock` falls back to a file that is.

    Args:
        folder: of the run. If it is not there yet, `take` is to be called once it is.

    Raises:
        InputError: when it is taken, if another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: Any = None

    def __enter__(self) -> RunLock:
        if os.path.lexists(self.folder / CONFIG):
            self.take()
        return self

    def take(self) -> None:
        """Take it now, unless it is held already."""
        if self._lock is not None or not is_first():
            return
        lock = FileLock(self.folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(self._refusal()) from error
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be trained here: {error.strerror or error}. Make the folder writable, or copy it"
            ) from error
        self._lock = lock
        self._sign()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is not None:
            with suppress(OSError):
                (self.folder / HOLDER).unlink()
            self._lock.release()
            self._lock = None

    def _sign(self) -> None:
        """Note who holds it, for the refusal of others; without the note they are refused all the same."""
        holder = {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with suppress(OSError):
            write_text(self.folder / HOLDER, json.dumps(holder) + "\n")

    def _refusal(self) -> str:
        try:
            holder = read_json(self.folder / HOLDER, dict[str, str | int], HOLDER_BYTES)
            who = f"process {int(holder['pid'])} on {holder['host']:.80}, since {holder['since']:.40}"
        except (OSError, ValueError, LookupError, TypeError):  # it has just begun, or just ended
            who = "another process"
        return (
            f"{self.folder} is being trained by {who}. Wait for its end or stop it, then `ltm train --resume "
            f"{self.folder}`; to train beside it, choose another --run"
        )
