"""Scores of a run, and the files that hold them in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.progress import Progress
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    import torch

    from ltm_pyro.bounds import Draws
    from ltm_pyro.data import Batch, Sequences
    from ltm_pyro.evaluation import Evaluation
    from ltm_pyro.training.build import RunComponents


CHECKED = 16  # sequences whose q a table fits for longer, to check convergence


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
        run: the run whose folder is written to.
        name: the files' name, from the text that was scored.
        evaluation, baseline: as `markdown` takes them.
        options: the arguments of the evaluation.
        about: the text and the checkpoint, for the line below the table.

    Raises:
        InputError: if the files cannot be written.
    """
    from ltm_pyro.files import finite

    content = {"about": about, "options": options or {}, "evaluation": evaluation.to_dict()}
    if baseline is not None:
        content["baseline"] = baseline.to_dict()
    run.write(f"evaluation/{name}.md", table_text(evaluation, baseline, about) + "\n")
    return run.write(f"evaluation/{name}.json", json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def table_text(evaluation: Evaluation, baseline: Evaluation | None = None, about: str = "") -> str:
    """An evaluation's table, and a line that names the text and the checkpoint."""
    from ltm_pyro.evaluation import markdown

    table = markdown(evaluation, baseline)
    return f"{table}\nScored: {about}." if about else table


def weights_of(run: Run, checkpoint: str) -> str:
    """Description of a checkpoint's weights, by their step."""
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
    on_draws: Callable[[Batch, Draws], None] = lambda batch, draws: None,
) -> Evaluation:
    """The four numbers of a loaded run on some sequences, with a progress line; `on_draws` as of `Evaluator`."""
    from ltm_pyro.data import in_order
    from ltm_pyro.evaluation import Evaluator
    from ltm_pyro.evaluation.twins import with_twins

    model, guide, fast, _ = components
    total = min(len(sequences), limit or len(sequences))
    options = {"fixed_noise": fixed_noise, "protocol_steps": run.config.fast.steps, "check_fit": check_fit}
    numbers = Evaluator(model, guide, fast, draws, seed, **options, on_draws=on_draws)
    progress = Progress(total)

    def batches() -> Iterator[Batch]:
        return (batch.to(device) for batch in in_order(sequences, batch_size, total))

    try:
        scored = numbers.evaluate(batches(), lambda done: progress.update(done, f"scoring {run.folder}"))
        return replace(with_twins(scored, model, fast, batches), lost=sequences.lost)
    finally:
        progress.clear()
