"""Four numbers of several models as costs, a panel for each number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "elbo": "−ELBO",
    "importance_weighted": "−importance-\nweighted bound",
    "predictive": "predictive cost,\nsecond half or answer",
    "prior": "−log p(x),\nz from the prior",
    "elbo_minus_first": "−ELBO\nless the first prior's",
    "importance_weighted_minus_first": "−importance-weighted bound\nless the first prior's",
    "elbo_minus_autoregressive": "−ELBO\nless the autoregressive cost",
    "importance_weighted_minus_autoregressive": "−importance-weighted bound\nless the autoregressive cost",
}


def plot_number(
    rows: Sequence[dict[str, Any]],
    runs: Sequence[dict[str, Any]],
    axes: Axes,
    number: str = "elbo",
    named: bool = True,
) -> Axes:
    """Number by variant, nats/token: the mean, its error over sequences (thin bar) and over seeds (thick bar).

    A value far worse than the others is outside the axis: an arrow at the edge has the value beside it.

    Args:
        rows: summaries of a study, one for each variant.
        runs: records of the study, as hollow dots if there are several seeds. May be empty.
        axes: the Axes to draw on.
        number: a key of `NAMES`.
        named: label the rows with the variants' names.
    """
    paired = "_minus_" in number
    key, error = (number, f"{number}_error") if paired else (f"{number}_nats_per_token", f"{number}_standard_error")
    of = " of the paired difference" if paired else ""
    over_seeds: dict[str, Any] = {"label": f"± 1 s.e.{of} over seeds", "color": colour(6), "elinewidth": 3.5}
    over_seeds["capsize"] = 0
    over_sequences: dict[str, Any] = {"label": f"± 1 s.e.{of} over sequences", "color": colour(1), "elinewidth": 0.9}
    if paired:
        axes.axvline(0, color="0.6", linewidth=1, zorder=0)
    for place, row in enumerate(rows):
        single = [run[key] for run in runs if run["variant"] == row["variant"] and key in run]
        if len(single) > 1:
            hollow: dict[str, Any] = {"color": "0.55", "markerfacecolor": "none", "markersize": 3.5, "label": "a seed"}
            axes.plot(single, [place] * len(single), "o", **hollow)
        for bar, style in {f"{key}_seed_error": over_seeds, error: over_sequences}.items():
            length = row.get(bar, math.nan)
            if math.isfinite(length):
                axes.errorbar(row[key], place, xerr=length, zorder=2, **style)
        axes.plot([row[key]], [place], "o", color=colour(1), zorder=3)
    _frame(rows, {row["variant"]: _reach(row, runs, key, error) for row in rows}, key, axes)
    axes.set_yticks(range(len(rows)), [row["variant"] for row in rows] if named else [""] * len(rows))
    axes.set_ylabel("model" if named else "")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(f"{NAMES[number]},\nnats/token")
    return axes


def _reach(row: dict[str, Any], runs: Sequence[dict[str, Any]], key: str, error: str) -> tuple[float, float]:
    """Range of a row's error bars and dots."""
    lengths = [row.get(bar, math.nan) for bar in (error, f"{key}_seed_error")]
    longest = max((length for length in lengths if math.isfinite(length)), default=0.0)
    single = [run[key] for run in runs if run["variant"] == row["variant"] and key in run]
    return min(row[key] - longest, *single, row[key]), max(row[key] + longest, *single, row[key])


def _frame(rows: Sequence[dict[str, Any]], reach: dict[str, tuple[float, float]], key: str, axes: Axes) -> None:
    """Limit the axis to the bulk of the rows, and mark rows outside by arrows."""
    values = sorted(row[key] for row in rows)
    middle, high = values[len(values) // 2], values[3 * len(values) // 4]
    limit = high + 4 * max(high - middle, *sorted(up - low for low, up in reach.values())[: len(rows) // 2 + 1])
    inside = [reach[row["variant"]] for row in rows if row[key] <= limit]
    if len(inside) == len(rows) or len(rows) < 4:
        return
    low, up = min(start for start, _ in inside), max(end for _, end in inside)
    edge = up + 0.35 * (up - low)
    axes.set_xlim(low - 0.08 * (up - low), edge)
    for place, row in enumerate(rows):
        if row[key] > limit:
            axes.plot([edge], [place], ">", color=colour(1), clip_on=False, zorder=4)
            axes.annotate(
                f"{row[key]:.3g}", (edge, place), (-6, 0), textcoords="offset points", ha="right", va="center"
            )
