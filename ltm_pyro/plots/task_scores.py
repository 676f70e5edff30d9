"""Scores of several tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import colour
from ltm_pyro.plots.text_sets import yerror

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_task_scores(records: Sequence[dict[str, Any]], axes: Axes) -> Axes:
    """Scores that are shares, with one standard error.

    Args:
        records: records with `task`, `measure`, `value` and `standard_error`; values above 1 are left out, since they
            have another unit.
        axes: the Axes to draw on.
    """
    shares = [record for record in records if 0 <= record["value"] <= 1]
    places, values = range(len(shares)), [record["value"] for record in shares]
    axes.errorbar(values, places, xerr=yerror([r["standard_error"] for r in shares]), fmt="o", color=colour(1))
    axes.set_yticks(list(places), [f"{record['task']}\n{record['measure']}" for record in shares])
    axes.set_xlim(0, 1)
    axes.set_ylabel("task")
    axes.set_xlabel("score, share of questions")
    return axes
