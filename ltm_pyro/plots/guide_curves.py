"""ELBO against fast steps, a line for each guide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ltm_pyro.plots.costs import cost_label
from ltm_pyro.plots.style import Looks, grouped, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {
    "steps": "fast steps",
    "passes": "decoder passes per sequence",
    "seconds_per_sequence": "seconds per sequence",
    "factor": "step size, × the guide's own",
}


def plot_guide_curves(
    records: Sequence[dict[str, Any]],
    axes: Axes,
    by: Literal["steps", "passes", "seconds_per_sequence", "factor"] = "steps",
    look: Looks | None = None,
) -> Axes:
    """−ELBO of every guide, nats/token, each point a separate fit; far worse values are outside the axis.

    Errors over sequences are nearly equal for all guides, and not shown: the table has them.

    Args:
        records: records of a comparison's part `curve` or `step size`.
        axes: the Axes to draw on.
        by: the horizontal axis; the axes of steps and passes include zero.
        look: styles by name from `looks`, to share among figures.
    """
    from matplotlib.ticker import NullLocator

    styles = look or looks((record["guide"], record["guide"]) for record in records)
    low, high = frame([record["elbo"] for record in records])
    for name, group in grouped(records, "guide").items():
        points = sorted(group, key=lambda record: record[by])
        text = name.replace(" --", "\n  --")
        text += ", above the frame" if all(point["elbo"] > high for point in points) else ""
        axes.plot([p[by] for p in points], [p["elbo"] for p in points], label=text, **styles[name])
    if by in ("steps", "passes"):
        axes.set_xscale("symlog", base=2, linthresh=1)
        axes.set_xlim(left=-0.1)
        ticks = sorted({record[by] for record in records if by == "steps"})
        if ticks:
            axes.set_xticks(ticks, [str(tick) for tick in ticks])
        else:
            axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.set_xscale("log")
    if by == "factor":
        factors = sorted({record[by] for record in records})
        axes.set_xticks(factors, [f"{factor:g}" for factor in factors])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(low, high)
    axes.set_xlabel(LABELS[by])
    axes.set_ylabel(cost_label("elbo"))
    return axes


def frame(costs: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis of costs with a margin: from the best to the worst, without far outliers."""
    finite = sorted(cost for cost in costs if math.isfinite(cost)) or [0.0]
    best, upper_quartile, worst = finite[0], finite[3 * len(finite) // 4], finite[-1]
    limit = upper_quartile + 3 * (upper_quartile - best)
    high = limit if worst > limit > best else worst
    margin = 0.06 * (high - best) or 0.01 * max(abs(best), 1.0)
    return best - margin, high + margin
