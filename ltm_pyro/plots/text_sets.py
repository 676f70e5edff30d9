"""Numbers on several text sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.looks import Looks, grouped, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "exact": "exact",
    "diffusion": "diffusion ELBO",
    "elbo": "ELBO",
    "importance_weighted": "importance-weighted",
    "predictive": "predictive (second half)",
    "prior": "z from the prior",
}


def plot_text_sets(records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """Bits per byte of every set, side by side, with one standard error; a mark for each number.

    Args:
        records: with `set`, `number`, `bits_per_byte` and `bits_per_byte_error`.
        axes: where to draw.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    sets = list(dict.fromkeys(record["set"] for record in records))
    shown = {name: own for name, own in grouped(records, "number").items() if name in NAMES}
    looked = look or looks((name, name) for name in shown)
    for place, (name, own) in enumerate(shown.items()):
        x = [sets.index(record["set"]) + 0.12 * (place - (len(shown) - 1) / 2) for record in own]
        y, error = ([record[key] for record in own] for key in ("bits_per_byte", "bits_per_byte_error"))
        axes.errorbar(x, y, yerror(error), label=NAMES[name], **{**looked[name], "linestyle": "none"})
    axes.set_xticks(range(len(sets)), sets)
    axes.set_ylabel("bits/byte")
    return axes


def yerror(errors: Sequence[float | None]) -> list[float]:
    """Errors to draw; of a single sequence there is none."""
    return [error if isinstance(error, float) and error == error else 0.0 for error in errors]
