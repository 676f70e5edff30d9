"""Validation cost of several models against their budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ltm_pyro.plots.style import Looks, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Spent = Literal["tokens", "flops", "hours"]
LABELS: dict[Spent, str] = {"tokens": "tokens seen", "flops": "training FLOPs", "hours": "hours of training"}


def plot_budgets(
    points: Mapping[str, Sequence[Mapping[str, float]]],
    axes: Axes,
    by: Spent = "tokens",
    device: str = "",
    look: Looks | None = None,
) -> Axes:
    """Validation cost in bits per byte against a budget on a logarithmic scale; a line for each run.

    Args:
        points: points of each run by name, in order, with the budgets and `bits_per_byte`.
        axes: the Axes to draw on.
        by: the budget.
        device: device that the hours were measured on.
        look: styles by name from `looks`, to share among figures.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    styles = look or looks((name, name) for name in points)
    for name, series in points.items():
        x, y = ([point[key] for point in series] for key in (by, "bits_per_byte"))
        axes.plot(x, y, label=name, **styles[name])
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda spent, _: f"{spent:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(LABELS[by] + (f" ({device})" if by == "hours" and device else ""))
    axes.set_ylabel("validation cost, bits/byte")
    return axes
