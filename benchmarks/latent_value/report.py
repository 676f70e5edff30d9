"""Report of the study: a Markdown table for each corpus, and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.latent_value.records import THOUGHTS
from ltm_pyro.plots import CAPTIONS, Drawing, save_drawings
from ltm_pyro.plots.captions import PAIRED_BARS
from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.four_numbers import plot_number
from ltm_pyro.plots.learning import plot_learning
from ltm_pyro.plots.style import grouped, looks
from ltm_pyro.studies.records import Record
from ltm_pyro.tables import number, section, with_error

HEADER = ["row", "seeds", "parameters", "tokens", "CPU s", "KL", "ELBO", "importance-weighted", "prior", "predictive"]
GAPS = {
    "ELBO - AR": "elbo_minus_autoregressive",
    "importance-weighted - AR": "importance_weighted_minus_autoregressive",
    "predictive - AR": "predictive_minus_autoregressive",
    "importance-weighted - AR, full context": "importance_weighted_minus_full_context",
}
CURVES = ("elbo", "importance_weighted", "kl", "from_prior")
APART = f"Cost of each row less its autoregressive twin's, nats/token, by text and seed. {PAIRED_BARS} {LOWER}"


def markdown(title: str, rows: Sequence[Record], failures: Sequence[str] = ()) -> str:
    """Tables of the study in Markdown.

    Args:
        title: title of the study.
        rows: summaries.
        failures: a line for each failed run.
    """
    parts = [f"# {title}" if title else "# Do the latents earn their place?"]
    parts += [_table(corpus, group) for corpus, group in grouped(rows, "corpus").items()]
    if failures:
        parts.append("\n".join(["## Failed", "", *(f"- {line}" for line in failures)]))
    return "\n\n".join(parts)


def draw(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that has data; returns the file names.

    Args:
        rows: summaries.
        runs: records of all runs.
        curves: points of all runs' learning curves.
        folder: folder of the figures, created if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawings: list[Drawing] = []
    finished = [{**record, "variant": record["row"]} for record in runs if record["status"] == "done"]
    for corpus, points in grouped(curves, "corpus").items():
        look = looks((point["variant"], point["variant"]) for point in points)
        for by, stem in (("tokens", "learning"), ("seconds", "compute")):
            panels = [
                partial(plot_learning, points, by=by, look=look, number=name)  # type: ignore[arg-type]
                for name in CURVES
            ]
            drawings.append(Drawing(f"{stem}-{corpus}", panels, CAPTIONS["plot_learning"]))
    for corpus, group in grouped(rows, "corpus").items():
        drawings += differences(group, [run for run in finished if run["corpus"] == corpus], f"differences-{corpus}")
    return save_drawings(folder, drawings)


def differences(rows: Sequence[Record], runs: Sequence[Record], name: str) -> list[Drawing]:
    """Drawing of each row's paired differences to its autoregressive twin, if there are any."""
    numbers = [key for key in list(GAPS.values())[:2] if any(key in row for row in rows)]
    paired = [row for row in rows if all(key in row for key in numbers)]
    if not numbers:
        return []
    panels: list[Callable[[Any], object]] = [
        partial(plot_number, paired, runs, number=key, named=not place) for place, key in enumerate(numbers)
    ]
    return [Drawing(name, panels, APART, 0.2 * len(paired) + 0.9)]


def _table(corpus: str, rows: Sequence[Record]) -> str:
    cells = [[*_cost(row), *_numbers(row), *(_gap(row, key) for key in GAPS.values())] for row in rows]
    first = rows[0]
    several = any(row["seeds"] > 1 for row in rows)
    notes = [
        f"nats/token, lower is better; {first['sequences']:,} held-out sequences, {first['draws']} draws of z each. ± "
        "one standard error over sequences, the same sequences for all"
        f"{'; in brackets, the error over seeds' if several else ''}.",
        "Autoregressive rows have no latents: their exact log-likelihood is in the column importance-weighted. AR is "
        "the autoregressive row with the same window and, within 2 %, as many parameters; differences are paired by "
        "sequence and seed. Below zero, the model with thoughts is better.",
        "Predictive: the second half of each text, thoughts fitted on the first. Prior: nothing fitted. A row's tokens "
        "include those of the row that it starts from. Its seconds do not; they are CPU seconds, evaluation included.",
    ]
    return section(corpus, [[*HEADER, *GAPS], *cells], notes)


def _cost(row: Record) -> list[str]:
    tokens = f"{round(row['tokens'] + row['tokens_before']):,}"
    return [row["row"], str(row["seeds"]), f"{round(row['parameters']):,}", tokens, f"{row['cpu_seconds']:.0f}"]


def _numbers(row: Record) -> list[str]:
    if row["kind"] != THOUGHTS:
        return ["", "", _score(row, "exact"), "", _score(row, "predictive")]
    kl = number(row.get("kl_per_token"))
    return [kl, *(_score(row, name) for name in ("elbo", "importance_weighted", "prior", "predictive"))]


def _score(row: Record, name: str) -> str:
    key = f"{name}_nats_per_token"
    return _over_seeds(with_error(row.get(key), row.get(f"{name}_standard_error")), row.get(f"{key}_seed_error"))


def _gap(row: Record, key: str) -> str:
    if key not in row:
        return ""
    sign = "+" if row[key] > 0 else ""
    return sign + _over_seeds(with_error(row[key], row.get(f"{key}_error")), row.get(f"{key}_seed_error"))


def _over_seeds(text: str, error: float | None) -> str:
    return text if error is None or error != error else f"{text} ({number(error)})"
