"""Comparison of bounds on a trained run or on a toy that keeps its results in a folder and can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import POSITIVE, in_range, whole
from ltm_pyro.runs.arguments import (
    Call,
    Checkpoint,
    CorpusAt,
    FastSteps,
    Out,
    Quick,
    Resume,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.scored_text import held_out_text
from ltm_pyro.studies.bounds.comparison import PARTS, Comparison, compare_bounds
from ltm_pyro.studies.bounds.estimators import named_estimators
from ltm_pyro.studies.bounds.figures import draw
from ltm_pyro.studies.bounds.learning import Learning
from ltm_pyro.studies.bounds.sizes import Sizes, usual_sizes
from ltm_pyro.studies.bounds.toys import TOYS, toy_named
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.inference import FastLoop
    from ltm_pyro.training.held_out import RunText


class Subject(NamedTuple):
    """Subject of a comparison of bounds: model, guide, batch and loops, and the folder of the results."""

    model: Any
    guide: Any
    batch: Any
    fast: FastLoop
    folder: Path
    learning: Learning | None = None
    run: Run | None = None


@in_range
def study_bounds(
    run: str | None = None,
    *,
    toy: str | None = None,
    estimators: Sequence[str] | None = None,
    parts: Sequence[str] = PARTS,
    out: Out = None,
    corpus_at: CorpusAt = None,
    checkpoint: Checkpoint = "best",
    limit: Annotated[int, whole(1)] = 16,
    fast_steps: FastSteps = None,
    seed: Seed = 0,
    quick: Quick = False,
    resume: Resume = False,
    learning_passes: Annotated[int | None, whole(1)] = None,
    learning_seconds: Annotated[float | None, POSITIVE] = None,
    sizes: Sizes | None = None,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> Comparison:
    """Compare bounds and gradient estimators on a trained run, or on a model with a known posterior.

    After an interrupt, the results so far are shown and kept.

    Args:
        run: folder of the run.
        toy: a toy instead of a run: linear-gaussian or finite-mixture.
        estimators: BOUND[NUMBER][-GRADIENT] such as elbo-stl, iwae-dreg, renyi0.5; import paths; or all. A default
            list if left out.
        parts: parts to measure.
        out: folder of the results; RUN/comparisons/bounds if left out.
        limit: number of held-out sequences, the first ones.
        resume: continue an interrupted comparison.
        learning_passes: also train the run's model from scratch by every estimator, with this many decoder passes each
            (slow).
        learning_seconds: also train the run's model from scratch by every estimator, for this many seconds each.
        sizes: sizes of the measurements.
        command: command that repeats the comparison.
        corpus_at, checkpoint, fast_steps, seed, quick, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for a run without thoughts, or unknown names.
    """
    if sizes is None:
        sizes = Sizes(**usual_sizes(toy is not None, quick))
    call = Call(study_bounds, locals())
    _check(run, toy, learning_passes or learning_seconds)
    named_estimators(estimators or [])  # raises an error for unknown names before any work
    if toy is not None:
        subject = Subject(*toy_named(toy, limit, fast_steps, seed), Path(f"comparisons/bounds-{toy}"))
    else:
        opened = open_run(str(run), trust_code)
        subject = _of_run(opened, checkpoint, limit, fast_steps, corpus_at, (learning_passes, learning_seconds))
    settings = {**call.without("resume", "out", "corpus_at", "trust_code", "command"), "sizes": asdict(sizes)}
    folder = comparison_folder(subject.folder, call, settings, subject.run)
    comparison = Comparison(folder.done() if resume else {})
    folder.begin(command)
    try:
        return compare_bounds(
            subject.model,
            subject.guide,
            subject.batch,
            estimators,
            fast=subject.fast,
            sizes=sizes,
            learning=subject.learning,
            parts=parts,
            seed=seed,
            done=comparison,
            listener=folder.listener(comparison.pieces),
        )
    finally:
        if comparison.pieces:
            folder.keep(comparison.pieces)
            folder.finish(comparison.table(), comparison.to_records(), lambda: draw(comparison, folder.path))


def _check(run: str | None, toy: str | None, learns: float | None) -> None:
    if (run is None) == (toy is None):
        raise InputError(f"give either a run's folder, or --toy with one of {', '.join(TOYS)}")
    if toy is not None and toy not in TOYS:
        raise InputError(f"--toy {toy}: expected one of {', '.join(TOYS)}")
    if toy and learns:
        raise InputError("--learning_passes and --learning_seconds train a run's model: a toy has no corpus")


def _of_run(
    run: Run,
    checkpoint: str,
    limit: int,
    fast_steps: int | None,
    corpus_at: str | None,
    budget: tuple[int | None, float | None],
) -> Subject:
    from ltm_pyro.data import in_order

    if run.config.model != "latent-thought":
        raise InputError(f"{run.folder} has no thoughts, so that all bounds are equal. Give another run")
    components, device = load(run, checkpoint)
    components = components.with_fast_steps(fast_steps)
    text = held_out_text(run, corpus_at)
    batch = next(in_order(text.held_out, limit, limit)).to(device)
    learning = None if budget == (None, None) else _learning(text, components.fast, device, *budget)
    folder = run.folder / "comparisons" / "bounds"
    return Subject(components.model, components.guide, batch, components.fast, folder, learning, run)


def _learning(text: RunText, fast: FastLoop, device: Any, passes: int | None, seconds: float | None) -> Learning:
    from ltm_pyro.data import Batches
    from ltm_pyro.training.randomness import seed_everything

    run = text.run

    def start() -> Any:
        seed_everything(run.config.train.seed)
        return run.build().to(device)

    def batches() -> Batches:
        return Batches(text.training, run.config.train.batch_size, run.config.train.seed)

    return Learning(start, batches, fast, passes, seconds)
