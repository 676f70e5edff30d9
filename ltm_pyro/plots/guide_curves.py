"""What fast steps buy, guide by guide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ltm_pyro.plots.looks import Looks, grouped, looks

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
) -> None:
    """The ELBO's cost of every guide, nats/token, each point a fit of its own.

    Args:
        records: those of a comparison's part `curve` or `step size`.
        axes: where to draw.
        by: what stands below; zero has a place on the axis of steps and passes.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    looked = look or looks((record["guide"], record["guide"]) for record in records)
    for name, group in grouped(records, "guide").items():
        points = sorted(group, key=lambda record: record[by])
        costs, errors = ([point[key] for point in points] for key in ("elbo", "elbo_error"))
        axes.errorbar([p[by] for p in points], costs, yerr=errors, label=name, elinewidth=0.5, **looked[name])
    if by in ("steps", "passes"):
        axes.set_xscale("symlog", base=2, linthresh=1)
        axes.set_xlim(left=-0.1)
        ticks = sorted({record[by] for record in records if by == "steps"})
        if ticks:
            axes.set_xticks(ticks, [str(tick) for tick in ticks])
    else:
        axes.set_xscale("log")
    axes.set_xlabel(LABELS[by])
    axes.set_ylabel("ELBO, nats/token, lower is better")
