"""Reliability of importance weights: Pareto k-hat against effective sample size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_pareto_k(records: Sequence[dict[str, Any]], axes: Axes) -> Axes:
    """Pareto k-hat of every sequence against its effective sample size, with the limits 0.5 and 0.7.

    Args:
        records: records of a comparison's `weights` part.
        axes: the Axes to draw on.
    """
    finite = [record for record in records if math.isfinite(record["pareto_k"])]
    for limit, style, text in ((0.5, ":", "0.5: finite variance"), (0.7, "--", "0.7: trusted no further")):
        axes.axhline(limit, color=colour(2), linestyle=style, linewidth=1, label=text)
    sizes, shapes = ([record[key] for record in finite] for key in ("effective_sample_size", "pareto_k"))
    axes.plot(sizes, shapes, "o", color=colour(1), label="a sequence")
    axes.set_xlabel(f"effective sample size of {records[0]['particles']} draws")
    axes.set_ylabel(f"Pareto k-hat of {records[0]['draws']} draws")
    return axes
