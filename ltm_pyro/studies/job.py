"""The work of one trial: its run is trained and scored.

In a process of its own, as `TrialRunner` starts it: `python -m ltm_pyro.studies.job FOLDER`.
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
    """Train and score one trial: from the first step, from where it was interrupted, or what is still missing of it.

    Args:
        plan: as `Plan` describes it.
        folder: of the trial, in `cells/` of the study's.
        material: the text, where it has been read already.

    Returns:
        `record`: costs, parameters and what else is measured; `scored`: by the scoring's name its `numbers` and every
        sequence's costs; `curve`: the run's validations.

    Raises:
        InputError: if the run cannot be made, or the study is of another text.
        DivergedError: at a NaN or an infinity.
        RuntimeError: if a number is not finite.
    """
    from ltm_pyro.training.data_module import prepare_data

    whole, study = cast(Plan, plan), folder.parent.parent
    before = whole["start_from"]
    start = {"train.start_from": str(study / "runs" / before)} if before else {}
    config = complete(merged(whole["settings"], start))
    material = prepare_data(config) if material is None else material
    if whole["one_text"]:
        trials.refuse_other_text(study, material)
    run = trials.train_run(study / "runs" / folder.name, config, material)
    return measure(run, whole, material, _scored_before(folder, whole))


def measure(run: Run, plan: Plan, material: DataModule, scored: dict[str, Any]) -> dict[str, Any]:
    """The record of a trained run, as `carry_out` returns it.

    Args:
        run: one that has been trained.
        plan: how it is measured.
        material: its text.
        scored: what is known already, by the scoring's name.
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
    """The aggregated posterior against the prior."""
    scoring = next(iter(plan["scorings"].values()))
    return trials.aggregate(components, device, material, scoring.get("limit"))


def _samples(
    run: Run, components: RunComponents, device: torch.device, material: DataModule, plan: Plan
) -> dict[str, Any]:
    """Texts written with z from the prior, into the folder of the run."""
    trials.write_and_keep_samples(run, components)
    return {}


def _flops(
    run: Run, components: RunComponents, device: torch.device, material: DataModule, plan: Plan
) -> dict[str, Any]:
    """FLOPs that a token of training takes."""
    return trials.flops_of(run)


MEASURES = {"aggregate": _aggregate, "samples": _samples, "flops": _flops}


def _scored_before(folder: Path, plan: Plan) -> dict[str, Any]:
    """Scores that an earlier process has found in the same way."""
    try:
        before: dict[str, Any] = read_json(folder / process.RESULT, process.Result)
    except InputError:
        return {}
    then = before["plan"]
    same = all(then.get(name) == plan[name] for name in ("settings", "start_from", "checkpoint"))
    if before["status"] != "done" or not same:
        return {}
    known: dict[str, Scoring] = then.get("scorings", {})
    return {name: found for name, found in before["scored"].items() if known.get(name) == plan["scorings"].get(name)}


if __name__ == "__main__":
    sys.exit(process.main(Path(sys.argv[1]), carry_out))
