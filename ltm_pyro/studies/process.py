"""One trial of a study, here or in a process of its own, as the study's `TrialRunner` has it done.

The folder holds `plan.json`; `result.json` comes to stand beside it. A process goes on with a run that was
interrupted, and saves and leaves when its standard input ends, as it does when the study does. Who works on a trial
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
TAKEN = 75  # the exit code of a process that has found its trial in other hands
Job = Callable[[dict[str, Any], Path], dict[str, Any]]


class Result(TypedDict):
    """The content of a trial's `result.json`; the rest depends on the study."""

    status: str
    plan: dict[str, Any]


def main(folder: Path, job: Job) -> int:
    """Do one trial in this process, which is its own; returns the exit code: 0 done, 1 failed, 75 in other hands.

    Args:
        folder: of the trial.
        job: what makes a result of its plan and its folder.
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
    """The lock that a process holds while it works on a trial; raises `Timeout` if another holds it after so many
    seconds.

    Args:
        folder: of the trial.
        timeout: in seconds; negative: it waits as long as it takes.
    """
    return FileLock(folder / LOCK, timeout=timeout)


def write(path: Path, content: dict[str, Any]) -> None:
    """JSON that is there whole or not at all."""
    write_text(path, json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def carry_out(folder: Path, job: Job, since: float) -> dict[str, Any]:
    """Do one trial whose lock is held; returns its result, which is then written, be it done or failed.

    Args:
        folder: of the trial.
        job: as for `main`.
        since: the processor's seconds of this process at which the work began.
    """
    plan = read_json(folder / PLAN, dict[str, Any])
    known = _result_in(folder)
    if known is not None and known["status"] == "done" and known["plan"] == plan:  # by another study, meanwhile
        return known
    try:
        with _clocked(folder, since):
            found = job(plan, folder)
        result = {"status": "done", **found, "cpu_seconds": _spent(folder)}
    except (ValueError, RuntimeError, ArithmeticError) as error:  # InputError and DivergedError are such
        say(f"failed: {error}")
        result = {"status": "failed", "reason": str(error)}
    write(folder / RESULT, {"plan": plan, **result})
    return read_json(folder / RESULT, Result)


def _result_in(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = read_json(folder / RESULT, Result)
        return found
    except InputError:
        return None


@contextmanager
def _clocked(folder: Path, since: float) -> Iterator[None]:
    """Within, the processor's seconds are added to those of earlier attempts, however it ends short of a kill."""
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
    os.kill(os.getpid(), signal.SIGTERM)  # which a run answers with a checkpoint
