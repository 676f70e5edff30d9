"""Costs of several models against a dimension or against compute, with a fitted scaling law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.costs import cost_label
from ltm_pyro.plots.style import Looks, grouped, looks, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNITS = {"nats_per_token": ("nats/token", "standard_error"), "bits_per_byte": ("bits/byte", "bits_per_byte_error")}


def plot_scaling(
    rows: Sequence[dict[str, Any]],
    axes: Axes,
    by: str,
    label: str,
    number: str = "elbo",
    unit: str = "nats_per_token",
    runs: Sequence[dict[str, Any]] = (),
    look: Looks | None = None,
    joined: bool = True,
    errors: bool = True,
) -> Axes:
    """Line for each name, with errors over texts, and a small dot for every run.

    The errors are unpaired. The texts are the same for all, so that differences have less error.

    Args:
        rows: rows with `name`, the key `by`, and the number in its unit with its error.
        axes: the Axes to draw on; the horizontal axis is logarithmic.
        by: key of the horizontal axis, a dimension or a measure of compute.
        label: label of the horizontal axis.
        number: `elbo`, `importance_weighted` or `prior`; a cost, lower is better.
        unit: `nats_per_token` or `bits_per_byte`.
        runs: rows of every seed, whose dots show the spread.
        look: styles by name from `looks`, to share among figures.
        joined: join the points by a line.
        errors: draw the errors over texts.
    """
    styles = look or looks((row["name"], row["name"]) for row in rows)
    unit_name, error_key = UNITS[unit]
    _logarithmic(axes, [row[by] for row in rows])
    groups = grouped(rows, "name")
    for place, (name, group) in enumerate(groups.items()):
        group = sorted(group, key=lambda row: row[by])
        x, y, bars = ([row[key] for row in group] for key in (by, f"{number}_{unit}", f"{number}_{error_key}"))
        style = {**styles[name], **({} if joined else {"linestyle": ""})}
        series = axes.errorbar(x, y, bars if errors else None, label=name, elinewidth=0.7, **style)
        if errors:
            set_aside(axes, series, place, len(groups))
    for name, group in grouped((run for run in runs if f"{number}_{unit}" in run), "name").items():
        x, y = ([run[key] for run in group] for key in (by, f"{number}_{unit}"))
        axes.plot(x, y, color=styles[name]["color"], marker=".", markersize=3, linestyle="", alpha=0.6)
    axes.set_xlabel(label)
    axes.set_ylabel(cost_label(number, unit_name))
    return axes


def plot_law(
    compute: Sequence[float],
    loss: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    axes: Axes,
    label: str = "",
) -> Axes:
    """Fitted law as a line, with its interval as a band and its equation in the upper right corner.

    Args:
        compute, loss: coordinates of the line, in order.
        low, high: limits of the band; no band if they are empty.
        axes: the Axes to draw on.
        label: equation of the law.
    """
    name = "fitted law"
    if len(low):
        axes.fill_between(compute, low, high, color="0.5", alpha=0.2, linewidth=0)
        name += ", 95 % band"
    axes.plot(compute, loss, color="0.35", linewidth=1, linestyle="--", zorder=0, label=name)
    if label:
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + 0.12 * (top - bottom))
        axes.annotate(label, (0.99, 0.99), xycoords="axes fraction", ha="right", va="top")
    return axes


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """Set a logarithmic axis with few ticks: at the values if they are few integers, else at round numbers."""
    from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, MaxNLocator, NullLocator

    low, high = min(values), max(values)
    axes.set_xscale("log" if low > 0 else "symlog")  # zero fast steps are a value too
    if len(set(values)) <= 6 and all(float(value).is_integer() and value < 1e4 for value in values):
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(values))))
    elif high >= 10 * low > 0:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,), numticks=6))
    else:
        ticks = MaxNLocator(4, steps=(1, 2, 5, 10)).tick_values(low, high)
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick > 0 or low <= 0]))
        axes.set_xlim(0.9 * low, 1.1 * high)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
