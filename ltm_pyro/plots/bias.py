"""Bias of gradient estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import Looks, label, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_bias(records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """Bias along the reference gradient, in % of its length, with ± two standard errors; a row for each estimator.

    An estimator of the gradient of another objective than its bound has a hollow marker.

    Args:
        records: records of a comparison's `gradient` part, of one S.
        axes: the Axes to draw on.
        look: styles by name from `looks`, to share among figures.
    """
    styles = look or looks((record["bound"], record["estimator"]) for record in records)
    axes.axvline(0, color="0.6", linewidth=1, zorder=0)
    for row, record in enumerate(records):
        style = {**styles[record["estimator"]], "linestyle": "none"}
        if record["target"] == "another objective":
            style["markerfacecolor"] = "white"
        x, error = 100 * record["bias_along"], 200 * record["bias_along_error"]
        axes.errorbar([x], [row], xerr=[error], elinewidth=1.2, **style)
    widest = max((abs(100 * r["bias_along"]) + 200 * r["bias_along_error"] for r in records), default=1.0)
    if widest > 200:
        axes.set_xscale("symlog", linthresh=10)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(records)), [_name(record) for record in records])
    axes.invert_yaxis()
    axes.grid(axis="x")
    first = records[0]
    axes.set_ylabel("estimator")
    axes.set_xlabel(
        f"bias of the gradient by {first['parameters']}, S={first['particles']},\n% of its length, ± 2 s.e."
    )
    return axes


def _name(record: dict[str, Any]) -> str:
    objective = " (another objective)" if record["target"] == "another objective" else ""
    tails = ", heavy tails" if record["heavy_tails"] else ""
    return label(record["estimator"], record["claim"]) + objective + tails
