"""Trials one after another, or in processes; what is done is found again, what was cut off goes on."""

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
PAUSE = 0.2  # seconds between two looks at what runs
PATIENCE = 120.0  # seconds that an interrupted run has to save
ATTEMPTS = 2  # of a trial whose process is killed
# `python -m` would find every module in the current folder first
START = (
    "import sys; sys.path = [folder for folder in sys.path if folder]; module = sys.argv.pop(1); "
    "from runpy import run_module; run_module(module, run_name='__main__', alter_sys=True)"
)
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Begun(TypedDict):
    """The part that every `plan.json` has, of an earlier version too."""

    settings: dict[str, Any]


class TrialRunner:
    """Carries out trials, each in `out/cells/KEY/` (plan, result, log, lock) and `out/runs/KEY/`.

    Several runners may share a folder: whoever holds a trial's lock works on it, and the others find its result.

    Args:
        out: the folder of the study.
        trials: in the order in which they are begun, where nothing that they start from is missing.
        plans: by key, all that a trial's result depends on; `settings` are those of its run.
        processes: at once, of one thread each; None: one trial after another in this process, with all its threads.
        module: which does a trial in a process of its own, `ltm_pyro.studies.process.main` at its bottom.

    Raises:
        InputError: if one of them is there already with other arguments.
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
        self.results = {key: found for key in self.trials if (found := self._found(key)) is not None}
        self.running: dict[str, subprocess.Popen] = {}
        self.attempts: dict[str, int] = {}

    def carry_out(self, listener: Callable[[str], None] = lambda key: None, material: DataModule | None = None) -> None:
        """Run all that is not done; what fails is noted and does not stop the others.

        Args:
            listener: called with the key of each trial that has ended.
            material: the text of all trials, for those that run in this process; None: each reads its own.

        Raises:
            KeyboardInterrupt: once every process has saved and left.
            SystemExit: after a signal that interrupted a trial in this process, with all that was done saved.
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
                if todo or self.running:  # while there are, not all is done: the last step is not the end of a trial
                    running = "; ".join(str(self.trials[key]) for key in self.running)
                    told = "waiting for another study" if waits else running
                    progress.update(min(self._steps(), total - 1), told)
                    time.sleep(PAUSE)
        finally:
            progress.clear()
            self._stop()

    def _next(self, todo: Sequence[str], room: int) -> list[str]:
        """Trials to start now: those for which there is room, that nobody is at, and whose start is there."""
        found: list[str] = []
        for key in todo:
            before = self.trials[key].start_from
            if len(found) < room and (before is None or before in self.results) and self._is_free(key):
                found.append(key)
        return found

    def _is_free(self, key: str) -> bool:
        """Whether no process works on a trial; that which starts will take its lock, and leave if it came too late."""
        folder = self.out / "cells" / key
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with lock_of(folder):
                return True
        except Timeout:
            return False

    def _can_start(self, key: str) -> bool:
        """Whether what a trial starts from is whole; else it fails with it."""
        before = self.trials[key].start_from
        if before is None or self.results[before]["status"] == "done":
            return True
        self.results[key] = {"status": "failed", "reason": f"what it starts from has failed: {before}"}
        return False

    def _start(self, key: str) -> bool:
        """Start a trial's process, unless another study has done it by now; returns whether."""
        found = self._found(key)
        if found is not None:
            self.results[key] = found
            return False
        folder = self.out / "cells" / key
        write(folder / PLAN, self.plans[key])
        one = dict.fromkeys(THREADS, "1")
        root = str(Path(__file__).parents[2])
        here = os.getcwd() if os.getcwd() in sys.path else ""  # only if a class of the user's own is looked for there
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", ""), here) if part)
        with (folder / LOG).open("ab") as log:
            self.running[key] = subprocess.Popen(
                [sys.executable, "-c", START, self.module, str(folder)],
                stdin=subprocess.PIPE,  # whose end tells it to save and leave
                stdout=log,
                stderr=log,
                env={**os.environ, **one, "PYTHONPATH": path},
                start_new_session=True,  # a terminal's Ctrl-C is for the study alone, which tells its trials
            )
        return True

    def _ended(self) -> Iterator[str]:
        """Trials whose processes have ended; those without a result are to be begun again."""
        for key, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[key]
            _close(process)
            self.attempts[key] = self.attempts.get(key, 0) + (code != TAKEN)
            found = None if code == TAKEN else self._found(key, failures=code > 0)
            if found is None and code != TAKEN and (code > 0 or self.attempts[key] >= ATTEMPTS):
                told = f"its process has ended with code {code}: see {self.out}/cells/{key}/{LOG}"
                found = {"status": "failed", "reason": told}
            if found is not None:
                self.results[key] = found
            yield key

    def _found(self, key: str, failures: bool = False) -> dict[str, Any] | None:
        """A trial's result, if it has one; what failed before is tried again."""
        folder = self.out / "cells" / key
        plan, result = _read(folder / PLAN, Begun), _read(folder / RESULT, Result)
        if plan is not None and _learning(plan) != _learning(self.plans[key]):
            raise InputError(
                f"{folder} was begun with other arguments: repeat the study's own command, or choose another folder"
            )
        if result is None or _as_now(result["plan"]) != _as_now(self.plans[key]):
            return None
        return result if failures or result["status"] == "done" else None

    def _steps(self) -> int:
        """How many slow steps are done, of all trials."""
        known = (trial.steps if key in self.results else self._last_step(key) for key, trial in self.trials.items())
        return sum(known)

    def _last_step(self, key: str) -> int:
        return _last_step(self.out / "runs" / key)

    def _stop(self) -> None:
        """Let every process save and leave."""
        if self.running:
            say(f"Saving {len(self.running)} runs; the same command goes on with them by --resume ...")
        for process in self.running.values():
            _close(process)
        for process in self.running.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        self.running.clear()


def _learning(plan: Mapping[str, Any]) -> tuple[Settings, str]:
    """The settings that a run's weights hang on, without those of its last measurement."""
    settings = without(_as_now(plan)["settings"], "train.final_sequences", "train.draws")
    return settings, str(plan.get("start_from"))


def _as_now(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan to compare: of an earlier version it has removed arguments, and not yet those that came since."""
    return {**plan, "settings": _given(as_now(plan.get("settings", {})))}


def _given(settings: Any) -> Any:
    """Settings without those that are None: an argument that came since is None where it does nothing."""
    if not isinstance(settings, Mapping):
        return settings
    return {name: _given(value) for name, value in settings.items() if value is not None}


def _close(process: subprocess.Popen) -> None:
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()


def _read(path: Path, shape: Any) -> dict[str, Any] | None:
    if not path.exists():
        return None
    return read_json(path, shape, remedy="Remove it, and that trial is measured again")


def _last_step(folder: Path) -> int:
    """Of a run that is being trained, from the end of its metrics."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            whole = file.read().splitlines()
    except OSError:
        return 0
    for line in reversed(whole):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            continue
    return 0
