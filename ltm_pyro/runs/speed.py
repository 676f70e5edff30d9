"""How fast runs train, measured side by side: a step of each in turn, in one process."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice
from typing import TYPE_CHECKING

from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.step_time import now_and_then, timed_steps
from ltm_pyro.training.data_module import DataModule
from ltm_pyro.training.held_out import RunText

if TYPE_CHECKING:
    from ltm_pyro.training.run import Run

WARM_UP = 2  # steps of each run before any counts: the first compile, and fill caches


def measured_speeds(runs: Mapping[str, Run], rounds: int, place: str | None = None) -> dict[str, list[float]]:
    """Tokens of training a second, of each run in each round.

    In every round each run takes one step, and each round begins with another run: what else a machine does, and how
    warm it is, meets all of them alike, as it does not where each is timed by itself. All runs are held in memory at
    once, with fresh weights, and read their own training data. Runs of several processes are measured in one.

    Args:
        runs: by name.
        rounds: how many.
        place: where their corpus lies now, if no longer where it was.
    """
    steps = {name: timed_steps(run.config, _material(run, place)) for name, run in runs.items()}
    shares = {}
    for name, (take, every) in steps.items():
        one = [take(every + 1) for _ in range(WARM_UP)][-1]
        shares[name] = now_and_then(take, every, one.seconds)
    found: dict[str, list[float]] = {name: [] for name in runs}
    progress = Progress(rounds)
    try:
        for done in range(rounds):
            for name in islice(cycle(runs), done % len(runs), done % len(runs) + len(runs)):
                take, every = steps[name]
                step = take(every + 1)
                found[name].append(step.tokens / (step.seconds + shares[name]))
            progress.update(done + 1, "rounds of a step of each run")
    finally:
        progress.clear()
    return found


def _material(run: Run, place: str | None) -> DataModule:
    text = RunText(run, place)
    return DataModule(text.run.tokenizer, text.training, text.held_out)
