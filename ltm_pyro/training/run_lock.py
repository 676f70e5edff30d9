"""The lock of a run, which is trained by one process at a time."""

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
    """Context manager that holds the lock of a run's folder; of several launched processes the first holds it for all.

    The operating system releases the lock of a process that is killed; the file that names the holder counts only while
    the lock is held. On file systems without locks `filelock` uses the existence of a file instead.

    Args:
        folder: of the run. If it does not exist yet, call `take` once it does.

    Raises:
        InputError: on taking the lock, if another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: Any = None

    def __enter__(self) -> RunLock:
        if os.path.lexists(self.folder / CONFIG):
            self.take()
        return self

    def take(self) -> None:
        """Take the lock now, unless this object holds it already."""
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
        """Write the holder's file, which other processes name in their refusal; without it they are refused too."""
        holder = {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with suppress(OSError):
            write_text(self.folder / HOLDER, json.dumps(holder) + "\n")

    def _refusal(self) -> str:
        try:
            holder = read_json(self.folder / HOLDER, dict[str, str | int], HOLDER_BYTES)
            name = f"process {int(holder['pid'])} on {holder['host']:.80}, since {holder['since']:.40}"
        except (OSError, ValueError, LookupError, TypeError):  # the holder has just started, or just ended
            name = "another process"
        return (
            f"{self.folder} is being trained by {name}. Wait until it ends or stop it, then `ltm train --resume "
            f"{self.folder}`; to train another run meanwhile, choose another --run"
        )
