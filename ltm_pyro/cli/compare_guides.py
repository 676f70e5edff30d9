"""`ltm compare guides`: every guide on one trained decoder and one held-out text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.named_classes import parse_all, variants_of
from ltm_pyro.cli.result_folders import comparison_folder
from ltm_pyro.errors import InputError
from ltm_pyro.runs.loading import add_device, add_trust_code, open_run
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scored_text import add_corpus_at
from ltm_pyro.studies.guides.study import GuideStudy

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.studies.guides import GuideComparison
    from ltm_pyro.studies.variants import Variant
    from ltm_pyro.training.run import Run

QUICK: dict[str, Any] = {
    "passes": 16, "long_steps": 48, "draws": 16, "long_draws": 32, "curve": [0, 4, 16], "curve_sequences": 4,
    "rounds": 2,
}  # fmt: skip
EPILOG = """A guide is a class, by name or import path, with its arguments in brackets, and behind them, in the same
quotes, the arguments of ltm train that it alone needs:
  ltm compare guides RUN --guides MeanFieldGuide "LowRankGuide(rank=4)" "MeanFieldGuide --fast.learning_rate 1.0"
Each q is fitted as the tables of `ltm evaluate` fit it, by natural steps where its family has them. A guide with --fast
arguments of its own, beyond --fast.steps and --fast.patience, is fitted by the run's fast loop with these.
"""

NOT_HERE = ("--model", "--prior", "--decoder", "--data", "--train", "--thought_width", "--run", "--recipe", "--config")
APART = ("resume", "out", "config", "corpus_at", "guides", "trust_code")  # of no result


def main(words: Sequence[str]) -> int:
    """Compare; returns the exit code."""
    from ltm_pyro.studies.guides import GuideComparison, Sizes

    options = parse(_parser(words), words)
    refuse_below(options, sequences=2, training_steps=1, seed=0)
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(options.sizes).items()}
    sizes = Sizes(**given)
    run = open_run(options.run, options.trust_code)
    study = GuideStudy(
        run,
        _variants(run, options),
        sequences=options.sequences,
        training_steps=options.training_steps,
        checkpoint=options.checkpoint,
        seed=options.seed,
        place=options.corpus_at,
    )
    settings = {k: v for k, v in options.as_dict().items() if k not in APART}
    folder = comparison_folder(run.folder / "comparisons" / "guides", options, _parser(words), settings, run)
    pieces = folder.done() if options.resume else {}
    folder.begin(["compare", "guides", *words])
    candidates = study.candidates(folder, pieces)
    comparison = GuideComparison(study.model, candidates, study.held_out(), sizes, options.seed, pieces)
    try:
        comparison.carry_out(folder.listener(comparison.pieces))
    finally:
        _finish(folder, comparison)
    return 0


def _variants(run: Run, options: Namespace) -> list[Variant] | None:
    """The guides that are named; None if none is.

    Raises:
        InputError: for arguments that are the run's, or that `ltm train` refuses.
    """
    if options.guides is None:
        return None
    names = parse_all("guide", options.guides)
    trust = ["--trust_code"] if options.trust_code else []
    for name in names:
        for word in name.further:
            if word.startswith(NOT_HERE):
                raise InputError(f"--guides {name}: {word.split('=')[0]} is the run's, and the same for all guides")
    return variants_of(names, ["--config", str(run.folder / "config.yaml"), *trust])


def _parser(words: Sequence[str]) -> ArgumentParser:
    from argparse import RawDescriptionHelpFormatter

    from jsonargparse import ArgumentParser, DefaultHelpFormatter

    from ltm_pyro.studies.guides import Sizes

    class Help(RawDescriptionHelpFormatter, DefaultHelpFormatter):
        pass

    parser = ArgumentParser(
        prog="ltm compare guides", exit_on_error=False, description=__doc__, epilog=EPILOG, formatter_class=Help
    )
    parser.usage = "ltm compare guides RUN [--guides GUIDE ...] [--sequences N] [ARGUMENT ...]"
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--guides", nargs="+", default=None, help="all that suit the run's prior if left out")
    parser.add_argument("--sequences", type=int, default=32, help="held-out sequences")
    parser.add_argument(
        "--training_steps", type=int, default=400, help="slow steps for guides with parameters of their own"
    )
    add_corpus_at(parser)
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--out", type=str | None, default=None, help="where to; RUN/comparisons/guides if left out")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted comparison, or add guides")
    parser.add_class_arguments(Sizes, "sizes", instantiate=False)
    for name, value in (QUICK if "--quick" in words else {}).items():
        parser.set_defaults({f"sizes.{name}": value})
    add_trust_code(parser)
    add_device(parser)
    return parser


def _finish(folder: ComparisonFolder, comparison: GuideComparison) -> None:
    """Write and show what there is, be it all or what an interrupt has left."""
    from ltm_pyro.studies.guides.figures import draw

    if comparison.pieces:
        folder.keep(comparison.pieces)
        records = comparison.to_records()
        folder.finish(comparison.table(), records, lambda: draw(records, folder.path))
