"""Comparison of trained runs that keeps its results in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import Argument, Call, Checkpoint, CorpusAt, Limit, Out, Seed, TrustCode
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import open_run
from ltm_pyro.runs.names import slug
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.studies.models.study import ModelComparison
from ltm_pyro.training.run import Run

ROUNDS = 15  # default rounds of timed steps


@in_range
def study_models(
    runs: Sequence[str],
    *,
    budgets: Annotated[int, whole(1)] = 4,
    device_name: str | None = None,
    measure: Annotated[int, Argument(alone=ROUNDS), whole(0)] = 0,
    corpus_at: CorpusAt = None,
    checkpoint: Checkpoint = "best",
    draws: Annotated[int, whole(1)] = 16,
    limit: Limit = None,
    seed: Seed = 0,
    out: Out = None,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> ModelComparison:
    """Compare trained runs of any kind at equal tokens, compute and time.

    After an interrupt, the results so far are shown and kept.

    Args:
        runs: folders of the runs; the first is the reference of the comparison.
        budgets: number of budgets of each kind, at equal ratios.
        device_name: name of the device that the runs were trained on.
        measure: rounds in which each run takes a timed training step here; their median replaces the speed of its log.
        draws: S, samples of z, or of the mask of a diffusion model, per sequence.
        limit: largest number of held-out sequences to score.
        out: folder of the results; comparisons/models-RUN-RUN... if left out.
        command: command that repeats the comparison.
        corpus_at, checkpoint, seed, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: if no run can be compared, or if the runs held out different documents.
    """
    call = Call(study_models, locals())
    comparison = ModelComparison(
        _named(runs, trust_code),
        budgets=budgets,
        measure=measure,
        device_name=device_name,
        checkpoint=checkpoint,
        draws=draws,
        limit=limit,
        seed=seed,
        place=corpus_at,
    )
    settings = {**call.without("out", "corpus_at", "trust_code", "command"), "device_name": comparison.device_name}
    place = Path("comparisons") / f"models-{'-'.join(map(slug, comparison.runs))}"
    folder = comparison_folder(place, call, settings)
    folder.begin(command)
    try:
        comparison.carry_out()
    except KeyboardInterrupt:
        count = len(comparison.evaluations)
        say(f"interrupted: {count} of {len(comparison.runs)} runs were scored on the held-out text")
        _finish(folder, comparison)
        raise
    _finish(folder, comparison)
    return comparison


def _named(folders: Sequence[str], trust_code: bool) -> dict[str, Run]:
    """Runs by the shortest unique names."""
    names = [Path(folder).resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = list(folders)
    if len(set(names)) < len(names):
        raise InputError("a run is named twice: give each once")
    return {name: open_run(folder, trust_code) for name, folder in zip(names, folders, strict=True)}


def _finish(folder: ComparisonFolder, comparison: ModelComparison) -> None:
    if pieces := comparison.pieces():
        folder.keep(pieces)
    folder.finish(comparison.table(), comparison.to_records(), lambda: comparison.draw(folder.path))
