"""One cell of `ltm scale` in a process of its own: a model trained, and scored at each T_fast of inference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json
from ltm_pyro.runs.config import complete
from ltm_pyro.studies import process
from ltm_pyro.studies.scale.grid import AS_TRAINED

if TYPE_CHECKING:
    from ltm_pyro.training.material import Material
    from ltm_pyro.training.run import Run

CHECKPOINT = "latest"  # the best one would be chosen by the text that is scored


def carry_out(plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Costs, numbers by T_fast at inference, every sequence's, and the learning curve."""
    import torch

    from ltm_pyro.allocation import keep_freed_memory
    from ltm_pyro.runs import trials
    from ltm_pyro.training.material import prepare

    keep_freed_memory()
    torch.set_num_threads(1)
    config = complete(plan["settings"])
    material = prepare(config)
    trials.refuse_other_text(folder.parent.parent, material)
    run = trials.train_run(folder.parent.parent / "runs" / folder.name, config, material)
    scored = _scored_before(folder, plan)
    for steps in plan["inference"]:
        if str(steps) not in scored:
            scored[str(steps)] = _score(run, material, steps, plan["scoring"])
    return {"cost": cost_of(run), "scored": scored, "curve": trials.curve(run)}


def cost_of(run: Run) -> dict[str, Any]:
    """What a run has spent, its parameters, and the FLOPs that a token of training takes."""
    from ltm_pyro.evaluation.flops import paper_flops_per_token, spent_flops_per_token
    from ltm_pyro.runs import trials
    from ltm_pyro.studies.models.course import fast_steps

    model, guide, fast, slow = run.assemble()
    return {
        **trials.cost_of(run),
        "parameters": sum(parameter.numel() for parameter in (*model.parameters(), *guide.parameters())),
        "flops_per_token": spent_flops_per_token(model, guide, fast, slow),
        "paper_flops_per_token": paper_flops_per_token(model.decoder, fast_steps(model, guide, fast)),
    }


def _score(run: Run, material: Material, steps: int | str, scoring: dict[str, Any]) -> dict[str, Any]:
    """A trained run's honest numbers, q fitted in so many steps."""
    from ltm_pyro.runs import trials
    from ltm_pyro.runs.loading import load
    from ltm_pyro.runs.scoring import save, score_run

    blueprint, device = load(run, CHECKPOINT)
    fast_steps = run.config.fast.steps if steps == AS_TRAINED else int(steps)
    evaluation = score_run(run, blueprint.with_fast_steps(fast_steps), device, material.validation, **scoring)
    save(run, f"inference-{steps}", evaluation, options={**scoring, "fast_steps": fast_steps})
    return {
        "inference_steps": fast_steps,
        "numbers": trials.numbers_of(evaluation),
        "sequences": trials.sequences_of(evaluation),
    }


def _scored_before(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """What an earlier process has scored in the same way."""
    try:
        before: dict[str, Any] = read_json(folder / process.RESULT, process.Result)
    except InputError:
        return {}
    same = before["status"] == "done" and before["plan"].get("scoring") == plan["scoring"]
    return before["scored"] if same and before["plan"].get("settings") == plan["settings"] else {}


if __name__ == "__main__":
    sys.exit(process.main(Path(sys.argv[1]), carry_out))
