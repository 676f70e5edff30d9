"""Training speed of several runs, measured in one process that alternates between them."""

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

WARM_UP = 2  # untimed steps of each run, which compile and fill caches


def measured_speeds(runs: Mapping[str, Run], rounds: int, place: str | None = None) -> dict[str, list[float]]:
    """Training tokens per second of each run in each round.

    In every round each run takes one step, and each round begins with another run, so that other work and the
    temperature of the machine affect all runs alike, unlike when each is timed by itself. All runs are in memory at
    once, with fresh weights, and read their own training data. Runs of several processes are measured in one.

    Args:
        runs: by name.
        rounds: number of rounds.
        place: the place of their corpus now, if it has been moved.
    """
    steps = {name: timed_steps(run.config, _material(run, place)) for name, run in runs.items()}
    shares = {}
    for name, (take, interval) in steps.items():
        usual = [take(interval + 1) for _ in range(WARM_UP)][-1]
        shares[name] = now_and_then(take, interval, usual.seconds)
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    progress = Progress(rounds)
    try:
        for round_number in range(rounds):
            for name in islice(cycle(runs), round_number % len(runs), round_number % len(runs) + len(runs)):
                take, interval = steps[name]
                step = take(interval + 1)
                speeds[name].append(step.tokens / (step.seconds + shares[name]))
            progress.update(round_number + 1, "rounds of a step of each run")
    finally:
        progress.clear()
    return speeds


def _material(run: Run, place: str | None) -> DataModule:
    text = RunText(run, place)
    return DataModule(text.run.tokenizer, text.training, text.held_out)
