"""Guides compared on a trained run, with results that are kept and gone on with."""

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
    """Every guide on one trained decoder and one held-out text.

    What there is when it is interrupted is shown and kept.

    Args:
        guides: all that suit the run's prior if left out.
        limit: held-out sequences, the first.
        training_steps: slow steps for guides with parameters of their own.
        out: where to; RUN/comparisons/guides if left out.
        resume: go on with an interrupted comparison, or add guides.
        sizes: how much is measured.
        command: that this can be repeated by.
        run, corpus_at, checkpoint, seed, quick, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for a run without thoughts, or guides that do not suit it.
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
    apart = ("resume", "out", "corpus_at", "guides", "trust_code", "command")  # of no result
    settings = {**call.without(*apart), "sizes": asdict(sizes)}
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
