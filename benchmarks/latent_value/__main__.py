"""Value of the latents: all rows of a table, trained, and compared with autoregressive models of the same size.

For each corpus, row and seed a run is trained as by `ltm train`, at equal tokens, and scored on the same held-out
texts: ELBO, importance-weighted bound, KL, z from the prior, predictive, and their differences to an autoregressive
model with the same window and as many parameters, with paired errors. The same command with --resume continues.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.latent_value.study import BUILT_IN, Corpus, LatentValueStudy, Measurement
from benchmarks.latent_value.table import TABLES, read_table
from benchmarks.timing.records import arguments_of, provenance
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say

QUICK: dict[str, Any] = {
    "data.length": 32,
    "data.vocabulary": 270,
    "decoder.width": 16,
    "decoder.layers": 2,
    "decoder.heads": 2,
    "decoder.window": 4,
    "fast.steps": 2,
    "train.evaluate_fast_steps": 2,
    "train.evaluate_sequences": 4,
    "train.batch_size": 4,
    "slow.warmup": 1,
}
QUICK_TOKENS, QUICK_MEASUREMENT = 768, Measurement(limit=8, draws=2, points=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write settings.json, records.csv, table.md and figures/; returns the exit code: 0 if every run is done."""
    parser, words = _parser(), arguments_of(arguments)
    if any(word.split("=")[0] == "--jobs" for word in words):
        parser.error("--jobs has been renamed to --processes")
    options = parser.parse_args(arguments)
    try:
        study = _study(options, words)
        study.conduct()
    except InputError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 130
    return 0 if study.is_done else 1


def _study(options: argparse.Namespace, words: Sequence[str]) -> LatentValueStudy:
    table = read_table(options.table, QUICK if options.quick else None)
    if options.rows:
        table = table.only(options.rows)
    usual, tokens = (QUICK_MEASUREMENT, QUICK_TOKENS) if options.quick else (Measurement(), None)
    sizes = {name: getattr(options, name) or getattr(usual, name) for name in ("limit", "draws", "points")}
    command = [table.name if word == options.table else word for word in _without_corpora(words)]
    say("Reading the corpora and building every row once ...")
    return LatentValueStudy(
        table,
        [Corpus.named(spec) for spec in options.corpus],
        options.seeds,
        options.tokens or tokens,
        Measurement(**sizes, checkpoint=options.checkpoint),
        out=options.out,
        processes=options.processes,
        resume=options.resume,
        about=provenance("latent_value", command),
    )


def _without_corpora(words: Sequence[str]) -> list[str]:
    """Command-line words without the corpora's paths, which belong to this machine."""
    remaining: list[str] = []
    skips = False
    for word in words:
        skips = word == "--corpus" or (skips and not word.startswith("--"))
        remaining += [] if skips or word.startswith("--corpus=") else [word]
    return remaining


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(sorted(path.stem for path in TABLES.glob("*.yaml")))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latent_value",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", help=f"{names}; or a file, TABLE.yaml, with `base` and `rows`")
    parser.add_argument(
        "--corpus",
        nargs="+",
        default=[BUILT_IN],
        metavar="CORPUS",
        help="built-in, or paths as for ltm train, each optionally, in quotes, with its own arguments: "
        "'stories.txt --data.mode documents'",
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the table; default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="seeds of the runs of each row; default 0")
    parser.add_argument(
        "--tokens", type=_positive, metavar="N", help="training tokens of each run; default: the recipe's steps"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="most texts to score at the end; default 512")
    parser.add_argument("--draws", type=_positive, metavar="S", help="samples of z per text; default 16")
    parser.add_argument("--points", type=_positive, metavar="N", help="validations of a run; default 10")
    parser.add_argument("--checkpoint", choices=["best", "latest"], default="best", help="checkpoint to score")
    parser.add_argument("--out", type=Path, help="folder of the study; default comparisons/latent-value-TABLE")
    parser.add_argument("--processes", type=_positive, default=1, metavar="N", help="processes of one thread each")
    parser.add_argument("--resume", action="store_true", help="continue the study in --out; finished runs are kept")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a quick test")
    return parser


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
