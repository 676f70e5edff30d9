"""Table, records and figure of the results of lm-evaluation-harness."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ltm_pyro.evaluation.shares import wilson
from ltm_pyro.files import finite
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.suites.result import SuiteResult
from ltm_pyro.tables import number, section, with_error
from ltm_pyro.training.run import Run

SHARES = ("acc", "acc_norm", "exact_match")  # measures that are shares of right answers


def finish(
    folder: ComparisonFolder, results: dict[str, Any], run: Run, draws: int, further: Sequence[str]
) -> SuiteResult:
    """Write and show the results.

    Args:
        folder: folder of the suite.
        results: results of `simple_evaluate`.
        run: the evaluated run.
        draws: S, samples of z for each context.
        further: further notes below the table.
    """
    from ltm_pyro.plots import CAPTIONS, plot_task_scores, save_figure

    records = list(_records(results))
    rows = [[r["task"], r["measure"], _value(r), str(r["shots"]), f"{r['questions']:,}"] for r in records]
    z = run.config.model == "latent-thought"
    method = f"thoughts fitted on the context, mean over {draws} draws" if z else "exact"
    notes = [
        "± one standard error, by lm-evaluation-harness; in brackets Wilson's 95 % interval of a share of right "
        f"answers. Probabilities of a continuation: {method}; of a whole text: "
        + ("the importance-weighted bound." if z else "exact."),
        *further,
    ]
    header = ["task", "measure", "value", "shots", "questions"]
    folder.write("harness.json", json.dumps(finite(results.get("results", {})), indent=2, default=str) + "\n")

    def draw() -> list[str]:
        panel, height = partial(plot_task_scores, records), 0.35 * len(records) + 0.8
        paths = save_figure(folder.path / "tasks", [panel], CAPTIONS["plot_task_scores"], height, width="single")
        return [path.name for path in paths]

    table = section("Tasks", [header, *rows], notes)
    folder.finish(table, records, draw)
    return SuiteResult(table, records, folder.path)


def _value(record: dict[str, Any]) -> str:
    """Text of a task's number with its error, or of a share of right answers with its interval."""
    if record["measure"] not in SHARES or not record["questions"]:
        return with_error(record["value"], record["standard_error"])
    low, high = wilson(record["value"], record["questions"])
    return f"{number(record['value'])} [{number(low)}, {number(high)}]"


def _records(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for task, numbers in results["results"].items():
        for name, value in numbers.items():
            measure, comma, kind = name.partition(",")
            if comma and not measure.endswith("_stderr"):
                error = numbers.get(f"{measure}_stderr,{kind}")
                yield {
                    "task": task,
                    "measure": measure,
                    "value": float(value),
                    "standard_error": float(error) if isinstance(error, (int, float)) else None,
                    "shots": results.get("n-shot", {}).get(task, 0),
                    "questions": results.get("n-samples", {}).get(task, {}).get("effective", 0),
                }
