"""Execution of a trial: its run is trained and scored.

`TrialRunner` starts it as a separate process: `python -m ltm_pyro.studies.job FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json
from ltm_pyro.runs import trials
from ltm_pyro.runs.config import complete, merged
from ltm_pyro.studies import process
from ltm_pyro.studies.trial import Plan, Scoring

if TYPE_CHECKING:
    import torch

    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.data_module import DataModule
    from ltm_pyro.training.run import Run


def carry_out(plan: dict[str, Any], folder: Path, material: DataModule | None = None) -> dict[str, Any]:
    """Train and score a trial, or complete it after an interrupt.

    Args:
        plan: plan of the trial, see `Plan`.
        folder: folder of the trial, in `cells/` of the study's folder.
        material: the text, if it has been read already.

    Returns:
        `record`: costs, parameters and further measures; `scored`: by name of the scoring, its `numbers` and the costs
        of every sequence; `curve`: validations of the run.

    Raises:
        InputError: if the run cannot be built, or the study has another text.
        DivergedError: at a NaN or an infinity.
        RuntimeError: if a number is not finite.
    """
    from ltm_pyro.training.data_module import prepare_data

    typed, study = cast(Plan, plan), folder.parent.parent
    parent = typed["start_from"]
    start = {"train.start_from": str(study / "runs" / parent)} if parent else {}
    config = complete(merged(typed["settings"], start))
    material = prepare_data(config) if material is None else material
    if typed["one_text"]:
        trials.refuse_other_text(study, material)
    run = trials.train_run(study / "runs" / folder.name, config, material)
    return measure(run, typed, material, _scored_before(folder, typed))


def measure(run: Run, plan: Plan, material: DataModule, scored: dict[str, Any]) -> dict[str, Any]:
    """Measure a trained run; returns the result of `carry_out`.

    Args:
        run: the trained run.
        plan: plan of the trial.
        material: text of the run.
        scored: scores that exist already, by name of the scoring.
    """
    from ltm_pyro.runs.loading import load

    components, device = load(run, plan["checkpoint"])
    for name, scoring in plan["scorings"].items():
        if name not in scored:
            scored[name] = trials.score(run, components, device, material, name, plan["checkpoint"], scoring)
    record = trials.about(run, components, plan["checkpoint"])
    for name in plan["measures"]:
        record |= MEASURES[name](run, components, device, material, plan)
    return {"record": record, "scored": scored, "curve": trials.curve(run)}


def _aggregate(
    run: Run, components: RunComponents, device: torch.device, material: DataModule, plan: Plan
) -> dict[str, Any]:
    """Comparison of the aggregated posterior with the prior."""
    scoring = next(iter(plan["scorings"].values()))
    return trials.aggregate(components, device, material, scoring.get("limit"))


def _samples(
    run: Run, components: RunComponents, device: torch.device, material: DataModule, plan: Plan
) -> dict[str, Any]:
    """Write texts generated with z from the prior into the folder of the run."""
    trials.write_and_keep_samples(run, components)
    return {}


def _flops(
    run: Run, components: RunComponents, device: torch.device, material: DataModule, plan: Plan
) -> dict[str, Any]:
    """Training FLOPs per token."""
    return trials.flops_of(run)


MEASURES = {"aggregate": _aggregate, "samples": _samples, "flops": _flops}


def _scored_before(folder: Path, plan: Plan) -> dict[str, Any]:
    """Scores of an earlier process with the same settings, by name of the scoring."""
    try:
        result: dict[str, Any] = read_json(folder / process.RESULT, process.Result)
    except InputError:
        return {}
    earlier = result["plan"]
    unchanged = all(earlier.get(name) == plan[name] for name in ("settings", "start_from", "checkpoint"))
    if result["status"] != "done" or not unchanged:
        return {}
    scorings: dict[str, Scoring] = earlier.get("scorings", {})
    matching = {name for name in result["scored"] if scorings.get(name) == plan["scorings"].get(name)}
    return {name: scores for name, scores in result["scored"].items() if name in matching}


if __name__ == "__main__":
    sys.exit(process.main(Path(sys.argv[1]), carry_out))
