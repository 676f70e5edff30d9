"""The honest numbers of a run, and their place in its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.progress import Progress
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    import torch

    from ltm_pyro.data import Sequences
    from ltm_pyro.evaluation import Evaluation
    from ltm_pyro.training.build import RunComponents


CHECKED = 16  # sequences that a table fits for longer, to say whether q has converged


def save(
    run: Run,
    name: str,
    evaluation: Evaluation,
    baseline: Evaluation | None = None,
    options: dict[str, Any] | None = None,
    about: str = "",
) -> Path:
    """Write an evaluation into the run's folder as Markdown and JSON; returns the path of the JSON.

    Args:
        run: whose folder it is.
        name: of the files, by what was scored.
        evaluation, baseline: as `markdown` takes them.
        options: that it was made with.
        about: what was scored, and which weights, as a line below the table.

    Raises:
        InputError: if they cannot be written.
    """
    from ltm_pyro.files import finite

    content = {"about": about, "options": options or {}, "evaluation": evaluation.to_dict()}
    if baseline is not None:
        content["baseline"] = baseline.to_dict()
    run.write(f"evaluation/{name}.md", table_text(evaluation, baseline, about) + "\n")
    return run.write(f"evaluation/{name}.json", json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def table_text(evaluation: Evaluation, baseline: Evaluation | None = None, about: str = "") -> str:
    """An evaluation's table, and a line that says what was scored."""
    from ltm_pyro.evaluation import markdown

    table = markdown(evaluation, baseline)
    return f"{table}\nScored: {about}." if about else table


def weights_of(run: Run, checkpoint: str) -> str:
    """Which weights those of a checkpoint are, in words."""
    return f"weights after step {int(run.find(checkpoint).name.removeprefix('step-'))}"


def score_run(
    run: Run,
    components: RunComponents,
    device: torch.device,
    sequences: Sequences,
    *,
    draws: int,
    limit: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
    fixed_noise: bool = False,
    check_fit: int = CHECKED,
) -> Evaluation:
    """The four numbers of a loaded run on some sequences, with a line of progress."""
    from ltm_pyro.data import in_order
    from ltm_pyro.evaluation import Evaluator

    model, guide, fast, _ = components
    total = min(len(sequences), limit or len(sequences))
    further = {"fixed_noise": fixed_noise, "protocol_steps": run.config.fast.steps, "check_fit": check_fit}
    numbers = Evaluator(model, guide, fast, draws, seed, **further)
    progress = Progress(total)
    batches = (batch.to(device) for batch in in_order(sequences, batch_size, total))
    try:
        scored = numbers.evaluate(batches, lambda done: progress.update(done, f"scoring {run.folder}"))
        return replace(scored, lost=sequences.lost)
    finally:
        progress.clear()
