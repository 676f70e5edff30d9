"""One cell of this study in a process of its own: `python -m benchmarks.earn.cell FOLDER`, as the study starts it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.config import complete, merged
from ltm_pyro.studies import process

if TYPE_CHECKING:
    from ltm_pyro.training.blueprint import Blueprint
    from ltm_pyro.training.run import Run

SEED = 0  # of the noise of all evaluations, so that they are paired


def carry_out(plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A cell's record, what every sequence costs, and its learning curve."""
    import torch

    from ltm_pyro.allocation import keep_freed_memory
    from ltm_pyro.runs import trials
    from ltm_pyro.runs.loading import load
    from ltm_pyro.runs.scoring import save, score_run
    from ltm_pyro.training.material import prepare

    keep_freed_memory()
    torch.set_num_threads(1)
    runs, before = folder.parent.parent / "runs", plan["start_from"]
    config = complete(merged(plan["settings"], {"train.start_from": str(runs / before)} if before else {}))
    material = prepare(config)
    run = trials.train_run(runs / folder.name, config, material)
    blueprint, device = load(run, plan["checkpoint"])
    options = {"draws": config.train.draws, "limit": config.train.final_sequences, "seed": SEED}
    evaluation = score_run(run, blueprint, device, material.validation, **options)
    save(run, "validation", evaluation, options=options)
    record = {**_about(run, blueprint, plan["checkpoint"]), **trials.numbers_of(evaluation)}
    return {
        "record": record,
        "sequences": trials.sequences_of(evaluation),
        "curve": trials.curve(run),
    }


def _about(run: Run, blueprint: Blueprint, which: str) -> dict[str, Any]:
    from ltm_pyro.runs.trials import cost_of

    return {
        **cost_of(run),
        "checkpoint_step": int(run.find(which).name.removeprefix("step-")),
        "parameters": sum(parameter.numel() for parameter in blueprint.model.parameters()),
        "parameters_guide": sum(parameter.numel() for parameter in blueprint.guide.parameters()),
    }


if __name__ == "__main__":
    sys.exit(process.main(Path(sys.argv[1]), carry_out))
