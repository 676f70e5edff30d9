"""A bound while something is fitted or learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ltm_pyro.plots.looks import Looks, grouped, label, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {"elbo": "ELBO", "importance_weighted": "importance-weighted bound"}


def plot_curves(
    records: Sequence[dict[str, Any]],
    axes: Axes,
    by: Literal["passes", "seconds"] = "passes",
    value: Literal["elbo", "importance_weighted"] = "elbo",
    look: Looks | None = None,
) -> Axes:
    """An honest bound of every estimator by decoder passes or by seconds.

    Args:
        records: those of a comparison's `inference` or `learning` part.
        axes: where to draw.
        by: the budget.
        value: which bound.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    looked = look or looks((record["bound"], record["estimator"]) for record in records)
    low, high = _frame(records, value)
    for name, group in grouped(records, "estimator").items():
        told = [record for record in group if math.isfinite(record[value])]
        text = label(name, group[0]["claim"]) + (", diverged" if len(told) < len(group) else "")
        if len(told) == len(group) and all(record[value] < low for record in told[1:]):
            text += ", below the frame"
        axes.plot([r[by] for r in told], [r[value] for r in told], label=text, **looked[name])
    axes.set_ylim(low, high)
    whose = "per sequence" if records[0]["part"] == "inference" else "through training sequences"
    axes.set_xlabel(f"decoder passes {whose}" if by == "passes" else "seconds, without measuring")
    axes.set_ylabel(f"{NAMES[value]}, {records[0]['unit']}")
    return axes


def _frame(records: Sequence[dict[str, Any]], value: str) -> tuple[float, float]:
    """From the start to the best; what falls far below the start leaves the frame."""
    values = [record[value] for record in records if math.isfinite(record[value])] or [0.0]
    first, best = values[0], max(values)
    span = best - first or max(abs(best), 1.0) * 0.01
    return max(min(values), first - 0.5 * span) - 0.05 * span, best + 0.05 * span
