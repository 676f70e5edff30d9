"""Figures of a comparison of priors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.saving import Drawing, save_drawings
from ltm_pyro.studies.priors.records import NUMBERS, PAIRED
from ltm_pyro.studies.records import Record

FOUR = f"Held-out costs of each prior; the texts are the same for all, so that differences have less error. {LOWER}"
APART = f"Cost of each prior less the first's, with errors paired by text and seed. {LOWER}"
LAYERS = "KL of each layer of q from p; the decoder ignores a layer with a KL of zero."
AGGREGATE = (
    "Squared maximum mean discrepancy between thoughts of texts and thoughts of the prior; above the grey bar the two "
    "differ significantly."
)
LEARNING = f"Validation cost of each prior's runs, against tokens and against seconds of training. {LOWER}"


def draw(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that has data, as PNG and SVG; returns the file names.

    Args:
        rows: summaries of all priors.
        runs: records of all runs.
        curves: points of all runs' learning curves.
        folder: folder of the figures, created if missing.
    """
    if not rows:
        return []
    rows, runs, curves = _shortened(rows, runs, curves)
    folder.mkdir(exist_ok=True)
    finished = [record for record in runs if record["status"] == "done"]
    return save_drawings(folder, _drawings(rows, finished, curves))


def _shortened(*records: Sequence[Record]) -> list[list[Record]]:
    """Records with the name of each prior shortened to the part before its options, if that part is unique."""
    names = {record["variant"] for group in records for record in group}
    short = [name.split(" --")[0] for name in names]
    by = {name: name.split(" --")[0] for name in names if short.count(name.split(" --")[0]) == 1}
    return [[{**row, "variant": by.get(row["variant"], row["variant"])} for row in group] for group in records]


def _drawings(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record]) -> list[Drawing]:
    from ltm_pyro.plots.aggregate import plot_aggregate
    from ltm_pyro.plots.layers import plot_layers
    from ltm_pyro.plots.learning import plot_learning

    drawings = [_of_numbers("four-numbers", rows, runs, NUMBERS, FOUR)]
    paired = [row for row in rows if "elbo_minus_first" in row]
    if paired:
        numbers = [f"{number}_minus_first" for number in PAIRED]
        drawings.append(_of_numbers("differences", paired, runs, numbers, APART))
    layered = [row for row in rows if "kl_layer_1" in row]
    if layered:
        drawings.append(Drawing("kl-per-layer", [partial(plot_layers, layered)], LAYERS, 2.8, wide=False))
    drawings.append(Drawing("aggregate", [partial(plot_aggregate, rows)], AGGREGATE, 0.2 * len(rows) + 1.0))
    if len({point["step"] for point in curves}) > 1:
        panels = [partial(plot_learning, curves, by=by) for by in ("tokens", "seconds")]
        drawings.append(Drawing("learning", list(panels), LEARNING))
    return drawings


def _of_numbers(
    name: str, rows: Sequence[Record], runs: Sequence[Record], numbers: Sequence[str], caption: str
) -> Drawing:
    """Drawing with a panel for each number and a row for each prior, named in the first panel."""
    from ltm_pyro.plots.four_numbers import plot_number

    panels = [partial(plot_number, rows, runs, number=n, named=not place) for place, n in enumerate(numbers)]
    return Drawing(name, list(panels), caption, 0.2 * len(rows) + 1.0, columns=len(panels))
