"""Inference gap and approximation gap of guides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.guide_curves import frame
from ltm_pyro.plots.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = {"approximation_gap": "left after the long run", "inference_gap": "closed by it"}


def plot_gaps(records: Sequence[dict[str, Any]], axes: Axes) -> Axes:
    """Gap of every guide to the reference, nats/token: bars of its two parts, and the total as a dot.

    A part below zero lies left of the axis. A gap far larger than most is outside the axis, and printed at its edge.

    Args:
        records: records of a comparison's part `gap`.
        axes: the Axes to draw on.
    """
    offsets = {True: [0.0] * len(records), False: [0.0] * len(records)}
    for shade, (key, name) in zip((colour(1), colour(5)), PARTS.items(), strict=True):
        lengths = [record.get(key, 0.0) for record in records]
        starts = [offsets[length >= 0][place] for place, length in enumerate(lengths)]
        axes.barh(range(len(records)), lengths, left=starts, height=0.6, color=shade, label=name)
        for place, length in enumerate(lengths):
            offsets[length >= 0][place] += length
    totals, errors = ([record[key] for record in records] for key in ("gap", "gap_error"))
    axes.errorbar(totals, range(len(records)), xerr=errors, fmt="o", color="black", label="gap")
    low, high = frame([0.0, *totals, *offsets[False], *offsets[True]])
    axes.set_xlim(low, high)
    for place, gap in enumerate(totals):
        if gap > high:
            style: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "center", "color": "white"}
            axes.annotate(f"{gap:.3g} →", (high, place), (-4, 0), **style)
    axes.axvline(0, color="0.6", linewidth=1, zorder=0)
    axes.set_yticks(range(len(records)), [record["guide"].split(" --")[0] for record in records])
    axes.set_ylim(len(records) - 0.5, -0.5)
    axes.set_ylabel("guide")
    axes.set_xlabel(
        f"−ELBO above the reference's cost, nats/token\n(importance-weighted, long run of {records[0]['reference']})"
    )
    return axes
