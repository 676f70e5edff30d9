"""Measures of generated and of real text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_text_quality(records: Sequence[dict[str, Any]], axes: Axes, measure: str, label: str) -> Axes:
    """Measure of every kind of text, with its interval.

    Args:
        records: records with `kind`, `measure`, `value`, `low` and `high`.
        axes: the Axes to draw on.
        measure: key of the measure.
        label: label of the horizontal axis, with the unit.
    """
    selected = [record for record in records if record["measure"] == measure]
    look = looks((record["kind"], record["kind"]) for record in records)
    for place, record in enumerate(selected):
        value, low, high = (record[key] for key in ("value", "low", "high"))
        error = [[value - low], [high - value]] if low == low else [[0.0], [0.0]]
        axes.errorbar(
            [value], [place], xerr=error, label=record["kind"], **{**look[record["kind"]], "linestyle": "none"}
        )
    axes.set_yticks([])
    axes.margins(y=0.3)
    axes.locator_params(axis="x", nbins=4)
    axes.set_ylabel("kind of text")
    axes.invert_yaxis()
    axes.set_xlabel(label)
    return axes
