"""Numbers on several text sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.costs import NAMES
from ltm_pyro.plots.style import Looks, grouped, looks, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = ("exact", "diffusion", "elbo", "importance_weighted", "predictive", "prior")


def plot_text_sets(records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """Bits per byte of every set, side by side, with one standard error; a mark for each number.

    Args:
        records: with `set`, `number`, `bits_per_byte` and `bits_per_byte_error`.
        axes: where to draw.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    sets = list(dict.fromkeys(record["set"] for record in records))
    shown = {name: own for name, own in grouped(records, "number").items() if name in SHOWN}
    looked = look or looks((name, name) for name in shown)
    for place, (name, own) in enumerate(shown.items()):
        x = [sets.index(record["set"]) for record in own]
        y, error = ([record[key] for record in own] for key in ("bits_per_byte", "bits_per_byte_error"))
        bars = axes.errorbar(x, y, yerror(error), label=NAMES[name], **{**looked[name], "linestyle": ""})
        set_aside(axes, bars, place, len(shown), apart=6)
    axes.set_xticks(range(len(sets)), sets)
    axes.set_xlim(-0.5, len(sets) - 0.5)
    axes.set_xlabel("text set")
    axes.set_ylabel("cost, bits/byte")
    return axes


def yerror(errors: Sequence[float | None]) -> list[float]:
    """Errors to draw; of a single sequence there is none."""
    return [error if isinstance(error, float) and error == error else 0.0 for error in errors]
