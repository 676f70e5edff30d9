"""`ltm compare priors`: each prior trained anew, at one budget and on one split of a corpus, and evaluated."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from ltm_pyro.cli.named_classes import parse_all, variants_of
from ltm_pyro.cli.run_arguments import settings_of
from ltm_pyro.errors import InputError
from ltm_pyro.studies.defaults import default_priors
from ltm_pyro.studies.priors.study import PriorComparison, check_seconds
from ltm_pyro.studies.trial import check_seeds

if TYPE_CHECKING:
    from argparse import Namespace as Options


USAGE = (
    "ltm compare priors [CORPUS] [--priors PRIOR ...] [--seeds SEED ...] [--out FOLDER] [--seconds N] "
    "[--limit N] [--processes N] [--resume] "
    "[ARGUMENT OF ltm train ...]"
)
EXAMPLE = """for example:
  ltm compare priors --priors GaussianPrior "MixturePrior(components=4)" --train.steps 200
  ltm compare priors --priors "CodebookPrior(codes=16) --guide StraightThroughGuide" GaussianPrior"""


INSTEAD = {
    "--prior": "name the priors by --priors",
    "--run": "every run has a folder of its own in that of --out",
    "--train.seed": "give the seeds by --seeds; --data.seed is that of the split",
}


def main(words: Sequence[str]) -> int:
    """Compare; returns the exit code: 0 if any prior has its numbers."""
    options, arguments = _read(words)
    check_seeds(options.seeds)
    check_seconds(options.seconds)
    names = parse_all("prior", options.priors or default_priors())
    for given in (arguments, *(name.further for name in names)):
        _refuse(given, options.seconds)
    comparison = PriorComparison(
        settings_of(arguments),
        variants_of(names, arguments),
        seeds=options.seeds,
        out=options.out,
        seconds=options.seconds,
        limit=options.limit,
        processes=options.processes,
        resume=options.resume,
        check_models=options.priors is not None,
        command=["ltm", "compare", "priors", *words],
    )
    comparison.conduct()
    return 0 if any(record["status"] == "done" for record in comparison.to_records()) else 1


def _refuse(arguments: Sequence[str], seconds: float | None) -> None:
    """Refuse arguments of `ltm train` for which a comparison has its own."""
    for name, remedy in INSTEAD.items():
        given = [word for word in arguments if word == name or word.startswith((f"{name}=", f"{name}."))]
        if given:
            raise InputError(f"{given[0]} is not for a comparison: {remedy}")
    if seconds is not None and any(word.split("=")[0] == "--train.steps" for word in arguments):
        raise InputError("--seconds and --train.steps are two budgets: give one")


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. `ltm compare priors --help` lists all arguments")


def _read(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Our own options, and the words that are for `ltm train`."""
    parser = _Parser(
        prog="ltm compare priors",
        usage=USAGE,
        allow_abbrev=False,
        formatter_class=RawDescriptionHelpFormatter,
        description=__doc__,
        epilog=EXAMPLE,
    )
    parser.add_argument(
        "--priors",
        nargs="+",
        help="classes, by name or import path, with arguments in brackets, and behind them, in the same quotes, the "
        "arguments of ltm train that this prior alone needs; the first is what the others are compared with. "
        f"If left out: {', '.join(default_priors())}",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="a run for each; 0 if left out")
    parser.add_argument("--out", help="the comparison's folder; comparisons/priors-CORPUS if left out")
    parser.add_argument(
        "--seconds", type=float, help="train each for so long, instead of for --train.steps, which is equal tokens"
    )
    parser.add_argument("--limit", type=int, help="the most texts to score; --train.final_sequences if left out")
    parser.add_argument(
        "--processes",
        type=int,
        help="runs at once, of one thread each; one after another, with all threads, if left out",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the comparison in --out; what is done stays")
    return parser.parse_known_args(list(words))
