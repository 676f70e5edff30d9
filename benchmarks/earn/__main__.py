"""Do the latents earn their place? Every row of a table, trained and scored beside autoregressive models of its size.

For each corpus, row and seed one run is trained as `ltm train` would, at equal tokens, and scored on the same held-out
texts: ELBO, importance-weighted bound, KL, z from the prior, predictive, and what they cost more than an autoregressive
model of the same window and as many parameters, with paired errors. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.earn.plan import BUILT_IN, Corpus, Plan, Scoring
from benchmarks.earn.report import draw, markdown
from benchmarks.earn.results import Results
from benchmarks.earn.runner import runner_of
from benchmarks.earn.table import TABLES, read_table
from benchmarks.timing.records import arguments_of, provenance
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.results_folder import SETTINGS, ComparisonFolder, versions
from ltm_pyro.tables import to_csv

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
QUICK_TOKENS, QUICK_SCORING = 768, Scoring(limit=8, draws=2, points=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write settings.json, records.csv, table.md and figures/; returns the exit code: 0 if every cell is done."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return _carry_out(options, arguments_of(arguments))
    except InputError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 130


def _carry_out(options: argparse.Namespace, words: Sequence[str]) -> int:
    table = read_table(options.table, QUICK if options.quick else None)
    if options.rows:
        table = table.only(options.rows)
    corpora = [Corpus.named(spec) for spec in options.corpus]
    scoring = Scoring(options.limit, options.draws, options.points, options.checkpoint)
    say("Reading the corpora and building every row once ...")
    cells = Plan(table, corpora, options.seeds, options.tokens, scoring).cells()
    folder = ComparisonFolder(options.out or Path("comparisons") / f"earn-{table.name}", {})
    runner = runner_of(folder.path, cells, scoring.checkpoint, options.jobs)
    about: dict[str, Any] = {
        "table": table._asdict() | {"rows": [row._asdict() for row in table.rows]},
        "scoring": asdict(scoring),
    }
    about |= {"corpora": [corpus.name for corpus in corpora], "seeds": options.seeds, "tokens": options.tokens}
    named = [table.name if word == options.table else word for word in _without_corpora(words)]
    origin = provenance("earn", named) | {"versions": versions(), "threads": 1}
    folder.write(SETTINGS, json.dumps({**origin, **about}, indent=2) + "\n")
    folder.insist()
    total = len(cells)
    say(f"{total} cells, {len(runner.results)} of them done; {options.jobs} at once, in {folder.path}")

    def tell(key: str) -> None:
        result = runner.results[key]
        say(f"[{len(runner.results)}/{total}] {runner.cells[key]}: {_headline(result)}")
        _write(folder, table.about, Results(cells, runner.results))

    try:
        runner.carry_out(tell)
    finally:
        results = Results(cells, runner.results)
        if runner.results:
            print(_write(folder, table.about, results, figures=True))
            say(f"\nAll of it is in {folder.path}: table.md, records.csv, {SETTINGS}, figures/")
    return 0 if len(runner.results) == total and not results.failures() else 1


def _write(folder: ComparisonFolder, about: str, results: Results, figures: bool = False) -> str:
    """Write what there is so far; returns the table."""
    table = markdown(about, results)
    folder.write("table.md", table + "\n")
    folder.write("records.csv", to_csv(results.records()))
    if figures:
        draw(results, folder.path / "figures")
    return table


def _headline(result: dict[str, Any]) -> str:
    if result["status"] != "done":
        return f"FAILED: {result['reason']}"
    names = {"exact": "exact", "elbo": "ELBO", "importance_weighted": "importance-weighted", "prior": "prior"}
    record = result["record"]
    told = [f"{name} {record[f'{key}_nats_per_token']:.4f}" for key, name in names.items() if _has(record, key)]
    return f"{', '.join(told)}; {result['cpu_seconds']:.0f} s"


def _has(record: dict[str, Any], number: str) -> bool:
    return f"{number}_nats_per_token" in record


def _without_corpora(words: Sequence[str]) -> list[str]:
    """The words without paths of this machine; the corpora's names stand elsewhere."""
    kept: list[str] = []
    skips = False
    for word in words:
        skips = word == "--corpus" or (skips and not word.startswith("--"))
        kept += [] if skips or word.startswith("--corpus=") else [word]
    return kept


def _parser() -> argparse.ArgumentParser:
    known = ", ".join(sorted(path.stem for path in TABLES.glob("*.yaml")))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.earn", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", help=f"{known}; or a file, TABLE.yaml, with `base` and `rows`")
    parser.add_argument(
        "--corpus",
        nargs="+",
        default=[BUILT_IN],
        metavar="CORPUS",
        help="built-in, or paths as for ltm train, each, in quotes, with arguments of its own: "
        "'stories.txt --data.mode documents'",
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="of the table; all of them")
    parser.add_argument("--seeds", type=_positive, default=1, metavar="N", help="runs of each row, seeds 0 to N - 1")
    parser.add_argument("--tokens", type=_positive, metavar="N", help="that each run learns from; the recipe's steps")
    parser.add_argument("--limit", type=_positive, metavar="N", help="held-out texts scored at the end; default 512")
    parser.add_argument("--draws", type=_positive, metavar="S", help="of z for each of them; default 16")
    parser.add_argument("--points", type=_positive, metavar="N", help="validations along a run; default 10")
    parser.add_argument("--checkpoint", choices=["best", "latest"], default="best", help="which is scored")
    parser.add_argument("--out", type=Path, help="the study's folder; comparisons/earn-TABLE")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="runs at once, of one thread each")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, in seconds")
    return _Defaults(parser)  # type: ignore[return-value]


class _Defaults:
    """A parser whose defaults hang on `--quick`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser, self.error = parser, parser.error

    def parse_args(self, words: Sequence[str] | None) -> argparse.Namespace:
        options = self.parser.parse_args(words)
        usual = QUICK_SCORING if options.quick else Scoring()
        for name in ("limit", "draws", "points"):
            if getattr(options, name) is None:
                setattr(options, name, getattr(usual, name))
        if options.quick and options.tokens is None:
            options.tokens = QUICK_TOKENS
        return options


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
