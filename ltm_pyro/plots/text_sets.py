"""Scores on several text sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.costs import NAMES
from ltm_pyro.plots.style import Looks, grouped, looks, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = ("exact", "diffusion", "elbo", "importance_weighted", "predictive", "prior")


def plot_text_sets(records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """Bits per byte on every set, with one standard error; a marker for each number.

    Args:
        records: records with `set`, `number`, `bits_per_byte` and `bits_per_byte_error`.
        axes: the Axes to draw on.
        look: styles by name from `looks`, to share among figures.
    """
    sets = list(dict.fromkeys(record["set"] for record in records))
    groups = {name: group for name, group in grouped(records, "number").items() if name in SHOWN}
    styles = look or looks((name, name) for name in groups)
    for place, (name, group) in enumerate(groups.items()):
        x = [sets.index(record["set"]) for record in group]
        y, error = ([record[key] for record in group] for key in ("bits_per_byte", "bits_per_byte_error"))
        bars = axes.errorbar(x, y, yerror(error), label=NAMES[name], **{**styles[name], "linestyle": ""})
        set_aside(axes, bars, place, len(groups), apart=6)
    axes.set_xticks(range(len(sets)), sets)
    axes.set_xlim(-0.5, len(sets) - 0.5)
    axes.set_xlabel("text set")
    axes.set_ylabel("cost, bits/byte")
    return axes


def yerror(errors: Sequence[float | None]) -> list[float]:
    """Lengths of error bars; zero replaces an undefined error, such as that of a single sequence."""
    return [error if isinstance(error, float) and error == error else 0.0 for error in errors]
