"""`ltm compare models`: trained runs of any kind, at equal tokens, compute and time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.result_folders import comparison_folder
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import add_device, add_trust_code, open_run
from ltm_pyro.runs.names import slug
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scored_text import add_corpus_at
from ltm_pyro.studies.models.study import ModelComparison
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


EPILOG = """All runs must hold out the same documents. They may have tokenizers of their own: all that is compared is
in bits per byte. Speed is what each run measured while it trained: let them train on one machine, with nothing beside,
or give --measure: then all of them are measured here, a step of each in turn.
"""


def main(words: Sequence[str]) -> int:
    """Compare; returns the exit code."""
    options = parse(_parser(), words)
    refuse_below(options, budgets=1, measure=0, draws=1, limit=1, seed=0)
    comparison = ModelComparison(
        _named(options.runs, options.trust_code),
        budgets=options.budgets,
        measure=options.measure,
        device_name=options.device_name,
        checkpoint=options.checkpoint,
        draws=options.draws,
        limit=options.limit,
        seed=options.seed,
        place=options.corpus_at,
    )
    settings = {k: v for k, v in options.as_dict().items() if k not in ("out", "config", "corpus_at", "trust_code")}
    place = Path("comparisons") / f"models-{'-'.join(map(slug, comparison.runs))}"
    device = {"device_name": comparison.device_name}
    folder = comparison_folder(place, options, _parser(), {**settings, **device})
    folder.begin(["compare", "models", *words])
    try:
        comparison.carry_out()
    except KeyboardInterrupt:
        done = len(comparison.evaluations)
        say(f"interrupted: {done} of {len(comparison.runs)} runs were scored on the held-out text")
        _finish(folder, comparison)
        raise
    _finish(folder, comparison)
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm compare models", exit_on_error=False, description=__doc__, epilog=EPILOG)
    parser.add_argument("runs", nargs="+", help="the runs' folders; the first is what the others are compared with")
    parser.add_argument("--budgets", type=int, default=4, help="of each kind, at equal ratios")
    parser.add_argument("--device_name", type=str | None, default=None, help="of what the runs were trained on")
    parser.add_argument(
        "--measure",
        type=int,
        nargs="?",
        const=15,
        default=0,
        help="rounds in which each run takes a training step here; their median is its speed, not that of its log",
    )
    add_corpus_at(parser)
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--draws", type=int, default=16, help="S, samples of z, or of what is masked, per sequence")
    parser.add_argument("--limit", type=int | None, default=None, help="the most held-out sequences to score")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument(
        "--out", type=str | None, default=None, help="where to; comparisons/models-RUN-RUN... if left out"
    )
    add_trust_code(parser, "the runs name")
    add_device(parser)
    return parser


def _named(folders: Sequence[str], trust_code: bool) -> dict[str, Run]:
    """The runs by the shortest names that tell them apart."""
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
