"""A validation number of several models while they learn."""

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
    """A number as a cost: a line for each run, those of one variant alike, and named once.

    Args:
        points: with `variant`, `seed`, `tokens`, `seconds` and the number.
        axes: where to draw.
        by: what was spent.
        look: colours and markers by name, as `looks` makes them, to share among figures.
        number: which of the points' numbers, higher is better if it is a bound; points without it are left out.
        label: of the vertical axis, if it is another than the number's own.
    """
    looked = look or looks((point["variant"], point["variant"]) for point in points)
    for name, own in grouped((point for point in points if number in point), "variant").items():
        for place, run in enumerate(grouped(own, "seed").values()):
            told = None if place else name
            axes.plot([p[by] for p in run], [cost(number, p[number]) for p in run], label=told, **looked[name])
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("tokens seen" if by == "tokens" else "seconds of training, without validations")
    axes.set_ylabel(label or cost_label(number))
    return axes
