"""Bounds in the course of a fit or of training."""

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
    """Bound of every estimator, scored with fresh noise, as a cost, by decoder passes or by seconds.

    Args:
        records: records of a comparison's `inference` or `learning` part.
        axes: the Axes to draw on.
        by: the budget.
        value: the bound.
        look: styles by name from `looks`, to share among figures.
    """
    styles = look or looks((record["bound"], record["estimator"]) for record in records)
    low, high = _frame([cost(value, record[value]) for record in records])
    for name, group in grouped(records, "estimator").items():
        finite = [record for record in group if math.isfinite(record[value])]
        costs = [cost(value, record[value]) for record in finite]
        text = label(name, group[0]["claim"]) + (", diverged" if len(finite) < len(group) else "")
        if len(finite) == len(group) and all(nats > high for nats in costs[1:]):
            text += ", above the frame"
        axes.plot([record[by] for record in finite], costs, label=text, **styles[name])
    axes.set_ylim(low, high)
    unit = "per sequence" if records[0]["part"] == "inference" else "through training sequences"
    axes.set_xlabel(f"decoder passes {unit}" if by == "passes" else "seconds, without measuring")
    axes.set_ylabel(cost_label(value, records[0]["unit"]))
    return axes


def _frame(costs: Sequence[float]) -> tuple[float, float]:
    """Limits of the axis from the best to the first value; values far above the first are outside."""
    values = [nats for nats in costs if math.isfinite(nats)] or [0.0]
    first, best = values[0], min(values)
    span = first - best or max(abs(best), 1.0) * 0.01
    return best - 0.05 * span, min(max(values), first + 0.5 * span) + 0.05 * span
