"""Comparison of guides on a trained run that keeps its results in a folder and can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import Call, Checkpoint, CorpusAt, Out, Quick, Resume, RunFolder, Seed, TrustCode
from ltm_pyro.runs.loading import open_run
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.studies.guides.comparison import GuideComparison
from ltm_pyro.studies.guides.figures import draw
from ltm_pyro.studies.guides.sizes import QUICK, Sizes
from ltm_pyro.studies.guides.study import GuideStudy
from ltm_pyro.studies.variants import Variant


@in_range
def study_guides(
    run: RunFolder,
    *,
    guides: Sequence[Variant] | None = None,
    limit: Annotated[int, whole(2)] = 32,
    training_steps: Annotated[int, whole(1)] = 400,
    corpus_at: CorpusAt = None,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
    out: Out = None,
    quick: Quick = False,
    resume: Resume = False,
    sizes: Sizes | None = None,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> GuideComparison:
    """Compare guides on one trained decoder and one held-out text.

    After an interrupt, the results so far are shown and kept.

    Args:
        guides: guides to compare; all that suit the run's prior if left out.
        limit: number of held-out sequences, the first ones.
        training_steps: slow steps for guides with global parameters.
        out: folder of the results; RUN/comparisons/guides if left out.
        resume: continue an interrupted comparison, or add guides.
        sizes: sizes of the measurements.
        command: command that repeats the comparison.
        run, corpus_at, checkpoint, seed, quick, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: if the run has no thoughts, or a guide does not suit it.
    """
    if sizes is None:
        sizes = Sizes(**(QUICK if quick else {}))
    call = Call(study_guides, locals())
    opened = open_run(run, trust_code)
    study = GuideStudy(
        opened,
        guides,
        limit=limit,
        training_steps=training_steps,
        checkpoint=checkpoint,
        seed=seed,
        place=corpus_at,
    )
    irrelevant = ("resume", "out", "corpus_at", "guides", "trust_code", "command")  # no result depends on them
    settings = {**call.without(*irrelevant), "sizes": asdict(sizes)}
    folder = comparison_folder(opened.folder / "comparisons" / "guides", call, settings, opened)
    pieces = folder.done() if resume else {}
    folder.begin(command)
    comparison = GuideComparison(study.model, study.candidates(folder, pieces), study.held_out(), sizes, seed, pieces)
    try:
        comparison.carry_out(folder.listener(comparison.pieces))
    finally:
        if comparison.pieces:
            folder.keep(comparison.pieces)
            records = comparison.to_records()
            folder.finish(comparison.table(), records, lambda: draw(records, folder.path))
    return comparison
