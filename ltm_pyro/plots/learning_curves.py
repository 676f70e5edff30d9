"""Learning curves of runs: training as a line, validation as points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ltm_pyro.plots.costs import cost, cost_label
from ltm_pyro.plots.style import Looks, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Against = Literal["tokens", "steps", "seconds"]
Curve = Sequence[Mapping[str, Any]]
SPENT = {"tokens": "tokens seen", "steps": "slow steps", "seconds": "seconds of training, without validations"}
MEASURED = ("elbo", "log_likelihood", "kl")
CUT = 0.1  # share of first training points that may lie outside the axis


def plot_learning_curves(
    curves: Mapping[str, Curve],
    axes: Axes,
    number: str = "elbo",
    against: Against = "tokens",
    look: Looks | None = None,
) -> Axes:
    """Number of several runs as a cost; points without it are left out.

    Args:
        curves: curves by name, as `training.learning_curve` reads them.
        axes: the Axes to draw on.
        number: `elbo`, `log_likelihood` or `kl`.
        against: the budget.
        look: styles by name from `looks`, to share among figures.

    Returns:
        The Axes.
    """
    styles = look or looks((name, name) for name in curves)
    for name, curve in curves.items():
        _draw(axes, curve, number, against, name, styles[name])
    return _framed(axes, list(curves.values()), number, against)


def plot_kl_by_layer(curve: Curve, axes: Axes, against: Against = "tokens") -> Axes:
    """KL of every layer of a run; the decoder ignores a layer whose KL stays at zero.

    Args:
        curve: curve as `training.learning_curve` reads it.
        axes: the Axes to draw on.
        against: the budget.

    Returns:
        The Axes.
    """
    names = list(dict.fromkeys(name for point in curve for name in point if name.startswith("kl_layer_")))
    styles = looks((name, name) for name in ("run", *names))  # the first style is the run's, in the other panels
    for name in names:
        _draw(axes, curve, name, against, f"layer {name.removeprefix('kl_layer_')}", styles[name])
    return _framed(axes, [curve], "kl", against)


def _draw(axes: Axes, curve: Curve, number: str, against: Against, name: str, look: Mapping[str, Any]) -> None:
    points = [point for point in curve if number in point]
    training, validation = ([p for p in points if p["part"] == part] for part in ("training", "validation"))
    line = {"color": look["color"], "linestyle": look["linestyle"], "linewidth": 0.9, "alpha": 0.7}
    dots = {"color": look["color"], "marker": look["marker"], "linestyle": ""}
    axes.plot(*_costs(training, number, against), label=f"{name}, training", **line)
    if validation:
        axes.plot(*_costs(validation, number, against), label=f"{name}, validation", **dots)


def _costs(curve: Curve, number: str, against: Against) -> tuple[list[float], list[float]]:
    return [point[against] for point in curve], [cost(number, point[number]) for point in curve]


def _framed(axes: Axes, curves: Sequence[Curve], number: str, against: Against) -> Axes:
    """Label the Axes; limit a bound's axis to the values after the steep first part, if there are any."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel(SPENT[against])
    if against == "tokens":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylabel(cost_label(number))
    axes.locator_params(axis="x", nbins=5)
    if number == "kl":
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), None)
        return axes
    late = [cost(number, p[number]) for curve in curves for p in _after_the_start(curve) if number in p]
    if late:
        low, high = min(late), max(late)
        span = (high - low) or 0.01 * max(1.0, abs(high))
        axes.set_ylim(low - 0.05 * span, high + 0.05 * span)
    return axes


def _after_the_start(curve: Curve) -> Curve:
    training = [point for point in curve if point["part"] == "training"]
    return [*training[int(CUT * len(training)) :], *(point for point in curve if point["part"] == "validation")]
