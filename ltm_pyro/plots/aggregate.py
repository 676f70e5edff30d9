"""MMD² between the aggregated posterior and the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_aggregate(rows: Sequence[dict[str, Any]], axes: Axes) -> Axes:
    """MMD² between thoughts of texts and thoughts of the prior, with its 95 % quantile if they were equal.

    Args:
        rows: summaries or records of a comparison of priors.
        axes: the Axes to draw on.
    """
    axes.axvline(0, color="0.6", linewidth=1, zorder=0)
    places = range(len(rows))
    null = [row["mmd2_null_95"] for row in rows]
    axes.barh(places, null, height=0.6, color="0.88", label="95 % if they were equal")
    axes.plot([row["mmd2"] for row in rows], places, "o", color=colour(1), label="measured")
    largest = max(null)
    if max(row["mmd2"] for row in rows) > 10 * largest > 0:
        _logarithmic(axes, largest, max(row["mmd2"] for row in rows))
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.set_yticks(places, [row["variant"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_ylabel("prior")
    axes.set_xlabel("MMD² of aggregated posterior and prior")
    return axes


def _logarithmic(axes: Axes, linear: float, largest: float) -> None:
    """Set an axis that is linear up to `linear` and logarithmic above it, with ticks at zero and powers of ten."""
    axes.set_xscale("symlog", linthresh=linear)
    powers = range(math.ceil(math.log10(linear)), math.ceil(math.log10(largest)) + 1)
    axes.set_xticks([0.0, *(10.0**power for power in powers)])
    axes.set_xlim(right=largest * 2)
