"""Four numbers of runs by three fits: training's fast loop, the tables' fit, and a fit of twice as many steps."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyro
import torch

from benchmarks.convergence.released import make
from ltm_pyro.data import Sequences, cut, in_order, read_corpus
from ltm_pyro.evaluation import Evaluation, Evaluator
from ltm_pyro.evaluation.fit_check import TOLERANCE
from ltm_pyro.files import finite
from ltm_pyro.inference import FastLoop, TableFit, towards_a_bound
from ltm_pyro.runs.results_folder import commit, versions
from ltm_pyro.tables import section, with_error
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.held_out import RunText
from ltm_pyro.training.run import Run

NUMBERS = {"elbo": "ELBO", "importance_weighted": "importance-weighted", "predictive": "predictive", "prior": "prior"}
DRAWS, SEED, BATCH = 16, 0, 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure runs, one after another, into `records.json` and `table.md`; or make a checkpoint to import."""
    parser = ArgumentParser(prog="python -m benchmarks.convergence", description=__doc__)
    parser.add_argument(
        "runs", nargs="*", metavar="RUN[=CORPUS]", help="runs, each with the text to score; default: its held-out text"
    )
    parser.add_argument("--limit", type=int, default=64, help="sequences of each run")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/convergence/results"))
    parser.add_argument("--released", type=int, metavar="STEPS", help="make a checkpoint in the released code's manner")
    options = parser.parse_args(arguments)
    pyro.enable_validation(False)
    torch.set_num_threads(1)
    if options.released:
        make(options.out, options.released)
    for name in options.runs:
        folder, _, corpus = name.partition("=")
        _keep(options.out, Path(folder).name, measure(Run.open(folder), corpus, options.limit))


def measure(run: Run, corpus: str, limit: int) -> list[dict[str, Any]]:
    """Records of all fits of a run's posteriors, with the differences to the tables' fit."""
    components = run.load("latest")
    batches = list(in_order(_sequences(run, corpus), BATCH, limit))
    evaluations = {name: _evaluate(components, fast, batches) for name, fast in _fits(run, components)}
    tables = evaluations["tables"].scores["elbo"]
    records = []
    for name, evaluation in evaluations.items():
        record = {"fit": name, "steps": evaluation.fit.steps, "optimizer": evaluation.fit.optimizer}  # type: ignore[union-attr]
        for number in NUMBERS:
            score = evaluation.scores[number]
            record |= {number: score.nats_per_token, f"{number}_error": score.standard_error}
        record["kl"], record["sequences"] = evaluation.kl_per_token, len(tables.nats)
        record["worth"], record["worth_error"] = evaluation.scores["prior"].minus(evaluation.scores["elbo"])
        record["more"], record["more_error"] = evaluation.scores["elbo"].minus(tables)
        records.append(record)
    return records


def _fits(run: Run, components: RunComponents) -> Iterator[tuple[str, FastLoop]]:
    training = run.build().fast
    yield "training's", towards_a_bound(training).lasting(run.config.train.evaluate_fast_steps or training.steps)
    tables = TableFit().loop(components.guide, training)
    yield "tables", tables
    yield "twice", tables.lasting(2 * tables.steps)


def _sequences(run: Run, corpus: str) -> Sequences:
    if not corpus:
        return RunText(run).held_out
    return cut(run.config.data.mode, read_corpus(corpus), run.tokenizer, run.config.data.length)


def _evaluate(components: RunComponents, fast: FastLoop, batches: Sequence[Any]) -> Evaluation:
    return Evaluator(components.model, components.guide, fast, DRAWS, SEED).evaluate(batches)


def _keep(folder: Path, name: str, records: list[dict[str, Any]]) -> None:
    """Add a run's records to the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "records.json"
    runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    runs[name] = {"records": finite(records), "commit": commit(), "versions": versions(), "threads": 1}
    path.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    table = "\n\n".join(_table(run, of["records"]) for run, of in runs.items())
    (folder / "table.md").write_text(table + "\n", encoding="utf-8")
    print(_table(name, records), flush=True)


def _table(name: str, records: Sequence[dict[str, Any]]) -> str:
    header = ["fit of q", "steps", *NUMBERS.values(), "prior - ELBO", "ELBO's cost less the tables'"]
    rows = [
        [
            f"{record['fit']}, {record['optimizer']}",
            str(record["steps"]),
            *(with_error(record[number], record[f"{number}_error"]) for number in NUMBERS),
            with_error(record["worth"], record["worth_error"]),
            with_error(record["more"], record["more_error"]),
        ]
        for record in records
    ]
    moved = abs(records[-1]["more"])
    verdict = "within" if moved < TOLERANCE else "NOT within"
    notes = [
        f"nats/token, lower is better; {records[0]['sequences']} sequences, {DRAWS} draws; ± one standard error, "
        f"paired in the last two columns. Twice the steps move the ELBO by {moved:.4f}, {verdict} {TOLERANCE}."
    ]
    return section(name, [header, *rows], notes)


if __name__ == "__main__":
    main()
