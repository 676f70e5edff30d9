"""One cell of a study in a process of its own, as the study's `CellRunner` starts it: `python -m MODULE FOLDER`.

The folder holds `plan.json`; `result.json` comes to stand beside it. The process goes on with a run that was
interrupted, and saves and leaves when its standard input ends, as it does when the study does. Who works on a cell
holds its lock, which the system takes back from a process that is killed: no two ever work on one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import finite, read_json, write_text
from ltm_pyro.runs.console import say

PLAN, RESULT, CPU, LOCK = "plan.json", "result.json", "cpu.json", "lock"
TAKEN = 75  # the exit code of a process that has found its cell in other hands


class Result(TypedDict):
    """What `result.json` says of a cell; the rest depends on what the cell is of."""

    status: str
    plan: dict[str, Any]


def main(folder: Path, carry_out: Callable[[dict[str, Any], Path], dict[str, Any]]) -> int:
    """Do one cell; returns the exit code: 0 done, 1 failed, 75 if another process is at it.

    Args:
        folder: of the cell.
        carry_out: what makes a result of its plan and its folder.
    """
    try:
        with lock_of(folder):
            return _carry_out(folder, carry_out)
    except Timeout:
        return TAKEN


def lock_of(folder: Path) -> FileLock:
    """What a process holds while it works on a cell; raises `Timeout` at once if another one does."""
    return FileLock(folder / LOCK, timeout=0)


def write(path: Path, content: dict[str, Any]) -> None:
    """JSON that is there whole or not at all."""
    write_text(path, json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def _carry_out(folder: Path, carry_out: Callable[[dict[str, Any], Path], dict[str, Any]]) -> int:
    threading.Thread(target=_leave_with_the_study, daemon=True).start()
    plan = read_json(folder / PLAN, dict[str, Any])
    if _is_done(folder, plan):  # by another study, while this process began
        return 0
    try:
        with _clocked(folder):
            found = carry_out(plan, folder)
        result = {"status": "done", **found, "cpu_seconds": _spent(folder)}
    except (ValueError, RuntimeError, ArithmeticError) as error:  # InputError and DivergedError are such
        say(f"failed: {error}")
        result = {"status": "failed", "reason": str(error)}
    write(folder / RESULT, {"plan": plan, **result})
    return 0 if result["status"] == "done" else 1


def _is_done(folder: Path, plan: dict[str, Any]) -> bool:
    try:
        result = read_json(folder / RESULT, Result)
    except InputError:
        return False
    return result["status"] == "done" and result["plan"] == plan


@contextmanager
def _clocked(folder: Path) -> Iterator[None]:
    """Within, the processor's seconds are added to those of earlier attempts, however it ends short of a kill."""
    before = _spent(folder)
    try:
        yield
    finally:
        write(folder / CPU, {"seconds": before + time.process_time()})


def _spent(folder: Path) -> float:
    try:
        return float(read_json(folder / CPU, dict[str, float])["seconds"])
    except (InputError, KeyError):
        return 0.0


def _leave_with_the_study() -> None:
    sys.stdin.read()  # until it ends
    os.kill(os.getpid(), signal.SIGTERM)  # which a run answers with a checkpoint
