"""Figures of a comparison of priors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ltm_pyro.plots.captions import CAPTIONS, PAIRED_BARS
from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.drawing import Drawing
from ltm_pyro.plots.saving import save_drawings
from ltm_pyro.studies.priors.records import NUMBERS, PAIRED
from ltm_pyro.studies.records import Record

FOUR = (
    f"Four numbers of each prior. {CAPTIONS['plot_number']} Bars are unpaired: the texts are the same for all, so that "
    "the differences in the next figure have less error."
)
APART = f"Cost of each prior less the first's, nats/token, by text and seed. {PAIRED_BARS} {LOWER}"
LEARNING = f"Runs of each prior, against tokens and against seconds of training. {CAPTIONS['plot_learning']}"


def draw(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that has data; returns the file names.

    Args:
        rows: summaries of all priors.
        runs: records of all runs.
        curves: points of all runs' learning curves.
        folder: folder of the figures, created if missing.
    """
    if not rows:
        return []
    folder.mkdir(exist_ok=True)
    return save_drawings(folder, drawings(rows, runs, curves))


def drawings(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record]) -> list[Drawing]:
    """Drawings of every figure that has data; the arguments are those of `draw`."""
    rows, runs, curves = _shortened(rows, runs, curves)
    return _drawings(rows, [record for record in runs if record["status"] == "done"], curves)


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

    found = [_of_numbers("four-numbers", rows, runs, NUMBERS, FOUR)]
    paired = [row for row in rows if "elbo_minus_first" in row]
    if paired:
        numbers = [f"{number}_minus_first" for number in PAIRED]
        found.append(_of_numbers("differences", paired, runs, numbers, APART))
    layered = [row for row in rows if "kl_layer_1" in row]
    if layered:
        found.append(
            Drawing("kl-per-layer", [partial(plot_layers, layered)], CAPTIONS["plot_layers"], 2.4, width="single")
        )
    panel = partial(plot_aggregate, rows)
    found.append(Drawing("aggregate", [panel], CAPTIONS["plot_aggregate"], 0.18 * len(rows) + 0.8))
    if len({point["step"] for point in curves}) > 1:
        panels = [partial(plot_learning, curves, by=by) for by in ("tokens", "seconds")]
        found.append(Drawing("learning", list(panels), LEARNING))
    return found


def _of_numbers(
    name: str, rows: Sequence[Record], runs: Sequence[Record], numbers: Sequence[str], caption: str
) -> Drawing:
    """Drawing with a panel for each number and a row for each prior, named in the first panel."""
    from ltm_pyro.plots.four_numbers import plot_number

    panels = [partial(plot_number, rows, runs, number=n, named=not place) for place, n in enumerate(numbers)]
    return Drawing(name, list(panels), caption, 0.18 * len(rows) + 0.9, columns=len(panels))
