"""The figures of a comparison of priors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.saving import Drawing, save_drawings
from ltm_pyro.studies.priors.records import NUMBERS, PAIRED
from ltm_pyro.studies.records import Record

FOUR = f"Held-out costs of each prior; the texts are the same for all, so that their differences are surer. {LOWER}"
APART = f"What each prior costs more than the first, text by text and seed by seed: paired errors. {LOWER}"
LAYERS = "KL of each layer of q from p; a layer at zero is one that the decoder ignores."
AGGREGATE = (
    "How far thoughts of texts are from thoughts of the prior: squared maximum mean discrepancy, above the grey bar "
    "where they can be told apart."
)
LEARNING = f"Validation cost of each prior's runs, against tokens and against seconds of training. {LOWER}"


def draw(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that there are numbers for, as PNG and SVG; returns their file names.

    Args:
        rows: a summary of every prior.
        runs: a record of every run.
        curves: points of every run's learning curve.
        folder: made if need be.
    """
    if not rows:
        return []
    rows, runs, curves = _shortened(rows, runs, curves)
    folder.mkdir(exist_ok=True)
    done = [record for record in runs if record["status"] == "done"]
    return save_drawings(folder, _drawings(rows, done, curves))


def _shortened(*records: Sequence[Record]) -> list[list[Record]]:
    """The same with a prior's name alone, where that tells it from the others, without what else its runs need."""
    names = {record["variant"] for group in records for record in group}
    short = [name.split(" --")[0] for name in names]
    by = {name: name.split(" --")[0] for name in names if short.count(name.split(" --")[0]) == 1}
    return [[{**one, "variant": by.get(one["variant"], one["variant"])} for one in group] for group in records]


def _drawings(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record]) -> list[Drawing]:
    from ltm_pyro.plots.aggregate import plot_aggregate
    from ltm_pyro.plots.layers import plot_layers
    from ltm_pyro.plots.learning import plot_learning

    found = [_of_numbers("four-numbers", rows, runs, NUMBERS, FOUR)]
    apart = [row for row in rows if "elbo_minus_first" in row]
    if apart:
        found.append(_of_numbers("differences", apart, runs, [f"{number}_minus_first" for number in PAIRED], APART))
    layered = [row for row in rows if "kl_layer_1" in row]
    if layered:
        found.append(Drawing("kl-per-layer", [partial(plot_layers, layered)], LAYERS, 2.8, wide=False))
    found.append(Drawing("aggregate", [partial(plot_aggregate, rows)], AGGREGATE, 0.2 * len(rows) + 1.0))
    if len({point["step"] for point in curves}) > 1:
        panels = [partial(plot_learning, curves, by=by) for by in ("tokens", "seconds")]
        found.append(Drawing("learning", list(panels), LEARNING))
    return found


def _of_numbers(
    name: str, rows: Sequence[Record], runs: Sequence[Record], numbers: Sequence[str], caption: str
) -> Drawing:
    """A row for each prior, and its name at the first panel alone."""
    from ltm_pyro.plots.four_numbers import plot_number

    panels = [partial(plot_number, rows, runs, number=n, named=not place) for place, n in enumerate(numbers)]
    return Drawing(name, list(panels), caption, 0.2 * len(rows) + 1.0, columns=len(panels))
