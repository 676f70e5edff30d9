"""Several models against what they have spent."""

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
    """Validation in bits per byte against one kind of budget, which is on a logarithmic scale; a line for each run.

    Args:
        points: of each run by name, in order: the budgets and `bits_per_byte`.
        axes: where to draw.
        by: the budget.
        device: what the hours are of.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    looked = look or looks((name, name) for name in points)
    for name, own in points.items():
        x, y = ([point[key] for point in own] for key in (by, "bits_per_byte"))
        axes.plot(x, y, label=name, **looked[name])
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda spent, _: f"{spent:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(LABELS[by] + (f" ({device})" if by == "hours" and device else ""))
    axes.set_ylabel("validation cost, bits/byte")
    return axes
