"""Validation numbers of several models in the course of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ltm_pyro.plots.costs import cost, cost_label
from ltm_pyro.plots.style import Looks, grouped, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_learning(
    points: Sequence[dict[str, Any]],
    axes: Axes,
    by: Literal["tokens", "seconds"] = "tokens",
    look: Looks | None = None,
    number: str = "elbo",
    label: str = "",
) -> Axes:
    """Number as a cost: a line for each run; the runs of a variant share style and legend entry.

    Args:
        points: records with `variant`, `seed`, `tokens`, `seconds` and the number.
        axes: the Axes to draw on.
        by: the budget.
        look: styles by name from `looks`, to share among figures.
        number: key of the number, higher is better if it is a bound; points without it are left out.
        label: label of the vertical axis; the number's own if empty.
    """
    from matplotlib.ticker import EngFormatter

    styles = look or looks((point["variant"], point["variant"]) for point in points)
    for name, series in grouped((point for point in points if number in point), "variant").items():
        for place, run in enumerate(grouped(series, "seed").values()):
            legend_name = None if place else name
            axes.plot([p[by] for p in run], [cost(number, p[number]) for p in run], label=legend_name, **styles[name])
    axes.locator_params(axis="x", nbins=5)
    if by == "tokens":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("tokens seen" if by == "tokens" else "seconds of training, without validations")
    axes.set_ylabel(label or cost_label(number))
    return axes
