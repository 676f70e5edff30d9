"""One cell of a study in a process of its own: `python -m benchmarks.earn.cell FOLDER`, as the study starts it.

The folder holds `plan.json`; `result.json` comes to stand beside it. The process goes on with a run that was
interrupted, and saves and leaves when its standard input ends, as it does when the study does.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltm_pyro.training.blueprint import Blueprint
    from ltm_pyro.training.run import Run

PLAN, RESULT, CPU = "plan.json", "result.json", "cpu.json"
SEED = 0  # of the noise of all evaluations, so that they are paired


def main(folder: Path) -> int:
    """Train and score one cell; returns the exit code."""
    threading.Thread(target=_leave_with_the_study, daemon=True).start()
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    try:
        with _clocked(folder):
            found = carry_out(plan, folder)
        result = {"status": "done", **found, "cpu_seconds": _spent(folder)}
    except (ValueError, RuntimeError, ArithmeticError) as error:  # InputError and DivergedError are such
        print(f"failed: {error}", file=sys.stderr)
        result = {"status": "failed", "reason": str(error)}
    write(folder / RESULT, {"plan": plan, **result})
    return 0 if result["status"] == "done" else 1


def carry_out(plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A cell's record, what every sequence costs, and its learning curve."""
    import torch

    from ltm_pyro.allocation import keep_freed_memory
    from ltm_pyro.cli import prior_runs
    from ltm_pyro.cli.evaluate import save, score_run
    from ltm_pyro.cli.loading import load
    from ltm_pyro.training.material import prepare

    keep_freed_memory()
    torch.set_num_threads(1)
    runs, before = folder.parent.parent / "runs", plan["start_from"]
    config = prior_runs.configured([*plan["words"], *(["--train.start_from", str(runs / before)] if before else [])])
    material = prepare(config)
    run = prior_runs.train_run(runs / folder.name, config, material)
    blueprint, device = load(run, plan["checkpoint"])
    options = {"draws": config.train.draws, "limit": config.train.final_sequences, "seed": SEED}
    evaluation = score_run(run, blueprint, device, material.validation, **options)
    save(run, "validation", evaluation, options=options)
    record = {**_about(run, blueprint, plan["checkpoint"]), **prior_runs.numbers_of(evaluation)}
    return {
        "record": record,
        "sequences": prior_runs.sequences_of(evaluation),
        "curve": prior_runs.curve(run),
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """JSON that is there whole or not at all."""
    from ltm_pyro.evaluation.cells import finite

    part = path.with_suffix(".part")
    part.write_text(json.dumps(finite(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


def _about(run: Run, blueprint: Blueprint, which: str) -> dict[str, Any]:
    from ltm_pyro.cli.prior_runs import cost_of

    gates = [block.gate for block in blueprint.model.decoder.blocks]
    opened = {f"gate_{place}": math.tanh(gate) for place, gate in enumerate(gates, 1) if gate is not None}
    return {
        **cost_of(run),
        "checkpoint_step": int(run.find(which).name.removeprefix("step-")),
        "parameters": sum(parameter.numel() for parameter in blueprint.model.parameters()),
        "parameters_guide": sum(parameter.numel() for parameter in blueprint.guide.parameters()),
        **opened,
    }


@contextmanager
def _clocked(folder: Path) -> Iterator[None]:
    """Within, the processor's seconds are added to those of earlier attempts, however it ends short of a kill."""
    before = _spent(folder)
    try:
        yield
    finally:
        write(folder / CPU, {"seconds": before + time.process_time()})


def _spent(folder: Path) -> float:
    try:
        return float(json.loads((folder / CPU).read_text(encoding="utf-8"))["seconds"])
    except OSError:
        return 0.0


def _leave_with_the_study() -> None:
    sys.stdin.read()  # until it ends
    os.kill(os.getpid(), signal.SIGTERM)  # which a run answers with a checkpoint


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
