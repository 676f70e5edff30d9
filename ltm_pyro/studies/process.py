"""Process of a trial: executes its job under a lock, and writes its result.

The folder of the trial holds `plan.json`, and after the trial `result.json`. A process resumes an interrupted run. It
saves and exits when its standard input ends, which happens when the study ends. Whoever works on a trial holds its
lock, which the system releases if a process is killed: no two processes ever work on the same trial.
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
TAKEN = 75  # exit code of a process whose trial is locked by another process
Job = Callable[[dict[str, Any], Path], dict[str, Any]]


class Result(TypedDict):
    """Common part of a trial's `result.json`; other keys depend on the study."""

    status: str
    plan: dict[str, Any]


def main(folder: Path, job: Job) -> int:
    """Entry point of a trial's process; returns the exit code: 0 done, 1 failed, 75 locked by another process.

    Args:
        folder: folder of the trial.
        job: function from the trial's plan and folder to its result.
    """
    import torch

    from ltm_pyro.allocation import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    try:
        with lock_of(folder):
            threading.Thread(target=_leave_with_the_study, daemon=True).start()
            return 0 if carry_out(folder, job, since=0.0)["status"] == "done" else 1
    except Timeout:
        return TAKEN


def lock_of(folder: Path, timeout: float = 0.0) -> FileLock:
    """Lock that a process holds while it works on a trial; raises `Timeout` if another process does not release it.

    Args:
        folder: folder of the trial.
        timeout: seconds to wait; negative values wait without limit.
    """
    return FileLock(folder / LOCK, timeout=timeout)


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def carry_out(folder: Path, job: Job, since: float) -> dict[str, Any]:
    """Execute a trial whose lock is held; writes its result, done or failed, and returns it.

    Args:
        folder: folder of the trial.
        job: as for `main`.
        since: CPU seconds of this process at the start of the work.
    """
    plan = read_json(folder / PLAN, dict[str, Any])
    existing = _result_in(folder)
    if existing is not None and existing["status"] == "done" and existing["plan"] == plan:  # by another study
        return existing
    try:
        with _clocked(folder, since):
            content = job(plan, folder)
        result = {"status": "done", **content, "cpu_seconds": _spent(folder)}
    except (ValueError, RuntimeError, ArithmeticError) as error:  # includes InputError and DivergedError
        say(f"failed: {error}")
        result = {"status": "failed", "reason": str(error)}
    write(folder / RESULT, {"plan": plan, **result})
    return read_json(folder / RESULT, Result)


def _result_in(folder: Path) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] = read_json(folder / RESULT, Result)
        return result
    except InputError:
        return None


@contextmanager
def _clocked(folder: Path, since: float) -> Iterator[None]:
    """Context manager that adds its CPU seconds to those of earlier attempts, also after an error."""
    before = _spent(folder)
    try:
        yield
    finally:
        write(folder / CPU, {"seconds": before + time.process_time() - since})


def _spent(folder: Path) -> float:
    try:
        return float(read_json(folder / CPU, dict[str, float])["seconds"])
    except (InputError, KeyError):
        return 0.0


def _leave_with_the_study() -> None:
    sys.stdin.read()  # until it ends
    os.kill(os.getpid(), signal.SIGTERM)  # a run saves a checkpoint at this signal
