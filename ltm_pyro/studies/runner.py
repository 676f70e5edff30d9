"""Runner of trials, one after another or in processes; finished trials are reused, interrupted ones resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json, refuse_links
from ltm_pyro.runs.config import Settings, without
from ltm_pyro.runs.console import say
from ltm_pyro.runs.progress import Progress
from ltm_pyro.studies import job
from ltm_pyro.studies.process import PLAN, RESULT, TAKEN, Result, carry_out, lock_of, write
from ltm_pyro.studies.trial import Trial
from ltm_pyro.training.removed_arguments import as_now

if TYPE_CHECKING:
    from ltm_pyro.training.data_module import DataModule

LOG = "log.txt"
PAUSE = 0.2  # seconds between two polls of the processes
PATIENCE = 120.0  # seconds that an interrupted run has to save
ATTEMPTS = 2  # most attempts of a trial whose process is killed
# `python -m` would import modules of the current folder first
START = (
    "import sys; sys.path = [folder for folder in sys.path if folder]; module = sys.argv.pop(1); "
    "from runpy import run_module; run_module(module, run_name='__main__', alter_sys=True)"
)
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Begun(TypedDict):
    """Common part of every `plan.json`, those of earlier versions included."""

    settings: dict[str, Any]


class TrialRunner:
    """Runner of trials, each in `out/cells/KEY/` (plan, result, log, lock) and `out/runs/KEY/`.

    Several runners may share a folder: the holder of a trial's lock works on the trial, and the others read its result.

    Args:
        out: folder of the study.
        trials: trials in order of their start; a trial waits for the trial that it starts from.
        plans: plans by key; a trial's result depends on nothing else.
        processes: number of processes of one thread each; None runs the trials in this process, one after another,
            with all its threads.
        module: module that executes a trial in its process, by `ltm_pyro.studies.process.main`.

    Raises:
        InputError: if a trial exists already with other arguments.
    """

    def __init__(
        self,
        out: Path,
        trials: Sequence[Trial],
        plans: Mapping[str, Any],
        processes: int | None = None,
        module: str = job.__name__,
    ) -> None:
        refuse_links(out)
        self.out, self.module, self.processes = out, module, processes
        self.trials = {trial.key: trial for trial in trials}
        self.plans = {key: json.loads(json.dumps(plan)) for key, plan in plans.items()}
        self.results = {key: result for key in self.trials if (result := self._found(key)) is not None}
        self.running: dict[str, subprocess.Popen] = {}
        self.attempts: dict[str, int] = {}

    def carry_out(self, listener: Callable[[str], None] = lambda key: None, material: DataModule | None = None) -> None:
        """Run all unfinished trials; failures are recorded and do not stop the other trials.

        Args:
            listener: called with the key of each trial that has ended.
            material: text of all trials that run in this process; None lets each trial read its own.

        Raises:
            KeyboardInterrupt: after every process has saved and exited.
            SystemExit: after a signal that interrupted a trial in this process, and after all work has been saved.
        """
        if self.processes is None:
            self._carry_out_here(listener, material)
        else:
            self._carry_out_in_processes(self.processes, listener)

    def _carry_out_here(self, listener: Callable[[str], None], material: DataModule | None) -> None:
        for key in [key for key in self.trials if key not in self.results]:
            if self._can_start(key):
                say(f"\n[{len(self.results) + 1}/{len(self.trials)}] {self.trials[key]}")
                folder = self.out / "cells" / key
                folder.mkdir(parents=True, exist_ok=True)
                with lock_of(folder, timeout=-1):
                    write(folder / PLAN, self.plans[key])
                    work = partial(job.carry_out, material=material)
                    self.results[key] = carry_out(folder, work, since=time.process_time())
            listener(key)

    def _carry_out_in_processes(self, processes: int, listener: Callable[[str], None]) -> None:
        todo = [key for key in self.trials if key not in self.results]
        total = sum(trial.steps for trial in self.trials.values())
        progress = Progress(total, self._steps())
        try:
            while todo or self.running:
                ready = self._next(todo, processes - len(self.running))
                waits = not ready and not self.running
                for key in ready:
                    todo.remove(key)
                    if not self._can_start(key):
                        listener(key)
                    elif not self._start(key):
                        progress.clear()
                        listener(key)
                for key in self._ended():
                    if key in self.results:
                        progress.clear()
                        listener(key)
                    else:
                        todo.append(key)
                if todo or self.running:  # progress stays below 100 %: after its last step a trial is still scored
                    running = "; ".join(str(self.trials[key]) for key in self.running)
                    status = "waiting for another study" if waits else running
                    progress.update(min(self._steps(), total - 1), status)
                    time.sleep(PAUSE)
        finally:
            progress.clear()
            self._stop()

    def _next(self, todo: Sequence[str], room: int) -> list[str]:
        """Trials to start now: at most `room`, not locked, and with the trial that they start from ended."""
        ready: list[str] = []
        for key in todo:
            parent = self.trials[key].start_from
            if len(ready) < room and (parent is None or parent in self.results) and self._is_free(key):
                ready.append(key)
        return ready

    def _is_free(self, key: str) -> bool:
        """True if no process works on a trial; a started process takes the lock, and exits if it comes too late."""
        folder = self.out / "cells" / key
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with lock_of(folder):
                return True
        except Timeout:
            return False

    def _can_start(self, key: str) -> bool:
        """True unless the trial that this one starts from has failed; then this trial is recorded as failed."""
        parent = self.trials[key].start_from
        if parent is None or self.results[parent]["status"] == "done":
            return True
        self.results[key] = {"status": "failed", "reason": f"the trial that it starts from has failed: {parent}"}
        return False

    def _start(self, key: str) -> bool:
        """Start a trial's process; returns False if another study has finished the trial meanwhile."""
        result = self._found(key)
        if result is not None:
            self.results[key] = result
            return False
        folder = self.out / "cells" / key
        write(folder / PLAN, self.plans[key])
        single_thread = dict.fromkeys(THREADS, "1")
        root = str(Path(__file__).parents[2])
        current = os.getcwd() if os.getcwd() in sys.path else ""  # only if this process imports users' classes from it
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", ""), current) if part)
        with (folder / LOG).open("ab") as log:
            self.running[key] = subprocess.Popen(
                [sys.executable, "-c", START, self.module, str(folder)],
                stdin=subprocess.PIPE,  # its end tells the process to save and exit
                stdout=log,
                stderr=log,
                env={**os.environ, **single_thread, "PYTHONPATH": path},
                start_new_session=True,  # a terminal's Ctrl-C reaches the study alone, which stops its trials
            )
        return True

    def _ended(self) -> Iterator[str]:
        """Keys of trials whose processes have ended; trials without a result are to be started again."""
        for key, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[key]
            _close(process)
            self.attempts[key] = self.attempts.get(key, 0) + (code != TAKEN)
            result = None if code == TAKEN else self._found(key, failures=code > 0)
            if result is None and code != TAKEN and (code > 0 or self.attempts[key] >= ATTEMPTS):
                reason = f"its process has ended with code {code}: see {self.out}/cells/{key}/{LOG}"
                result = {"status": "failed", "reason": reason}
            if result is not None:
                self.results[key] = result
            yield key

    def _found(self, key: str, failures: bool = False) -> dict[str, Any] | None:
        """Result of a trial, None if there is none; failures of earlier runners count as none."""
        folder = self.out / "cells" / key
        plan, result = _read(folder / PLAN, Begun), _read(folder / RESULT, Result)
        if plan is not None and _learning(plan) != _learning(self.plans[key]):
            raise InputError(
                f"{folder} was started with other arguments: repeat the study's command, or choose another folder"
            )
        if result is None or _as_now(result["plan"]) != _as_now(self.plans[key]):
            return None
        return result if failures or result["status"] == "done" else None

    def _steps(self) -> int:
        """Number of slow steps done, over all trials."""
        steps = (trial.steps if key in self.results else self._last_step(key) for key, trial in self.trials.items())
        return sum(steps)

    def _last_step(self, key: str) -> int:
        return _last_step(self.out / "runs" / key)

    def _stop(self) -> None:
        """Make every process save and exit."""
        if self.running:
            say(f"Saving {len(self.running)} runs; the same command with --resume continues them ...")
        for process in self.running.values():
            _close(process)
        for process in self.running.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        self.running.clear()


def _learning(plan: Mapping[str, Any]) -> tuple[Settings, str]:
    """Settings that a run's weights depend on, without those of its final evaluation."""
    settings = without(_as_now(plan)["settings"], "train.final_sequences", "train.draws")
    return settings, str(plan.get("start_from"))


def _as_now(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Plan in the form of this version, for comparisons: without removed arguments and without new ones at None."""
    return {**plan, "settings": _given(as_now(plan.get("settings", {})))}


def _given(settings: Any) -> Any:
    """Settings without None values: a new argument is None if it has no effect."""
    if not isinstance(settings, Mapping):
        return settings
    return {name: _given(value) for name, value in settings.items() if value is not None}


def _close(process: subprocess.Popen) -> None:
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()


def _read(path: Path, shape: Any) -> dict[str, Any] | None:
    if not path.exists():
        return None
    return read_json(path, shape, remedy="Remove it, and the trial is measured again")


def _last_step(folder: Path) -> int:
    """Last step of a run in training, from the end of its metrics."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            continue
    return 0
