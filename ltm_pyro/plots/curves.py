"""A bound while something is fitted or learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ltm_pyro.plots.costs import cost, cost_label
from ltm_pyro.plots.style import Looks, grouped, label, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_curves(
    records: Sequence[dict[str, Any]],
    axes: Axes,
    by: Literal["passes", "seconds"] = "passes",
    value: Literal["elbo", "importance_weighted"] = "elbo",
    look: Looks | None = None,
) -> Axes:
    """An honest bound of every estimator, as a cost, by decoder passes or by seconds.

    Args:
        records: those of a comparison's `inference` or `learning` part.
        axes: where to draw.
        by: the budget.
        value: which bound.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    looked = look or looks((record["bound"], record["estimator"]) for record in records)
    low, high = _frame([cost(value, record[value]) for record in records])
    for name, group in grouped(records, "estimator").items():
        told = [record for record in group if math.isfinite(record[value])]
        costs = [cost(value, record[value]) for record in told]
        text = label(name, group[0]["claim"]) + (", diverged" if len(told) < len(group) else "")
        if len(told) == len(group) and all(nats > high for nats in costs[1:]):
            text += ", above the frame"
        axes.plot([record[by] for record in told], costs, label=text, **looked[name])
    axes.set_ylim(low, high)
    whose = "per sequence" if records[0]["part"] == "inference" else "through training sequences"
    axes.set_xlabel(f"decoder passes {whose}" if by == "passes" else "seconds, without measuring")
    axes.set_ylabel(cost_label(value, records[0]["unit"]))
    return axes


def _frame(costs: Sequence[float]) -> tuple[float, float]:
    """From the best to the start; what rises far above the start leaves the frame."""
    values = [nats for nats in costs if math.isfinite(nats)] or [0.0]
    first, best = values[0], min(values)
    span = first - best or max(abs(best), 1.0) * 0.01
    return best - 0.05 * span, min(max(values), first + 0.5 * span) + 0.05 * span
