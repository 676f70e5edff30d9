"""Variance of gradient estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import Looks, label, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_variance(records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None, named: bool = True) -> Axes:
    """Total variance of a single gradient on a logarithmic axis; a row for each estimator.

    Args:
        records: records of a comparison's `gradient` part, of one S.
        axes: the Axes to draw on.
        look: styles by name from `looks`, to share among figures.
        named: label the rows with names; False if a panel to the left has them.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    styles = look or looks((record["bound"], record["estimator"]) for record in records)
    for row, record in enumerate(records):
        if record["variance"] > 0:
            axes.plot([record["variance"]], [row], **{**styles[record["estimator"]], "linestyle": "none"})
    axes.set_xscale("log")
    variances = [record["variance"] for record in records if record["variance"] > 0]
    if variances and max(variances) < 1e3 * min(variances):
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    names = [label(record["estimator"], record["claim"]) if named else "" for record in records]
    axes.set_yticks(range(len(records)), names)
    axes.set_ylabel("estimator" if named else "")
    axes.invert_yaxis()
    axes.grid(axis="x")
    first = records[0]
    axes.set_xlabel(f"variance of one gradient by {first['parameters']}, S={first['particles']},\ntr Var g, nats²")
    return axes
