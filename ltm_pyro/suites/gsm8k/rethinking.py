"""GSM8K by rethinking, beside other uses of the same decoder passes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.suites.gsm8k.answers import final_number_written
from ltm_pyro.suites.gsm8k.problems import Problem
from ltm_pyro.suites.gsm8k.prompts import MakePrompt
from ltm_pyro.suites.methods import Solver, alike, compare, method_records, methods_table
from ltm_pyro.suites.methods.table import METHODS
from ltm_pyro.suites.result import SuiteResult

FOLDER = "evaluation/gsm8k-rethinking"
SECONDS = 20.0  # between two saves of the results
Found = dict[str, list[dict[str, Any]]]  # records of problems by `SHOTS/PLACE`


def answer_all(
    solver: Solver,
    demonstrations: Mapping[int, Sequence[Problem]],
    test: Sequence[Problem],
    make_prompt: MakePrompt,
    rounds: Sequence[int],
    keep: str,
    seed: int,
    batch_size: int,
    found: Found,
    folder: ComparisonFolder,
) -> None:
    """Answer the remaining problems by all methods; the records are saved now and then.

    Args:
        solver: objects and settings.
        demonstrations: answered problems by number of shots.
        test: the problems.
        make_prompt: makes the prompt of a problem.
        rounds, keep: as for `compare`.
        seed: of all noise.
        batch_size: the most problems at once.
        found: records so far, which are added to.
        folder: of the results.
    """
    progress, saved = Progress(len(test) * len(demonstrations), len(found)), time.monotonic()
    device = next(solver.model.parameters()).device
    try:
        for shots, examples in demonstrations.items():
            todo = [place for place in range(len(test)) if f"{shots}/{place}" not in found]
            prompts = {p: make_prompt(examples, test[p], solver.tokenizer.encode, solver.room) for p in todo}
            for places in alike({place: len(prompt.tokens) for place, prompt in prompts.items()}, batch_size):
                ids = torch.tensor([prompts[place].tokens for place in places], device=device)
                compared = compare(solver, ids, rounds, keep, (seed, shots, places[0]))
                for place, records in zip(places, compared, strict=True):
                    found[f"{shots}/{place}"] = [{**record, **_judged(record, test[place])} for record in records]
                progress.update(len(found), f"{shots} shots")
                if time.monotonic() - saved > SECONDS:
                    folder.keep(found)
                    saved = time.monotonic()
    finally:
        progress.clear()
        folder.keep(found)


def finish(folder: ComparisonFolder, found: Found) -> SuiteResult:
    """Table, records and figure of the problems answered so far."""
    from ltm_pyro.plots import CAPTIONS, plot_accuracy_by_passes, save_figure

    by_shots: dict[str, list[list[dict[str, Any]]]] = {}
    for key, problem in found.items():
        by_shots.setdefault(key.partition("/")[0], []).append(problem)
    if not by_shots:
        return SuiteResult("", [], folder.path)
    several = len(by_shots) > 1
    records = [
        record
        for shots, judged in by_shots.items()
        for record in method_records(judged, shots=int(shots), **({"group": f"{shots} shots"} if several else {}))
    ]

    def draw() -> list[str]:
        panel = partial(plot_accuracy_by_passes, records, names=METHODS)
        caption = CAPTIONS["plot_accuracy_by_passes"]
        return [path.name for path in save_figure(folder.path / "accuracy-by-passes", [panel], caption)]

    right = "Right: by the number after the first ####. Demonstrations are training problems."
    text = methods_table("GSM8K at equal decoder passes", records, [right])
    folder.finish(text, records, draw)
    return SuiteResult(text, records, folder.path)


def _judged(record: Mapping[str, Any], problem: Problem) -> dict[str, int]:
    number = final_number_written(record["answer"])
    return {"answered": int(number is not None), "right": int(number == problem.number)}
