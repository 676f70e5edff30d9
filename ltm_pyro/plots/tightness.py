"""How tight bounds are, by the number of particles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import Looks, grouped, label, looks, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_tightness(records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """Minus the mean of every bound by S, with ± one error over draws of z; −log p(x) as a line where it is known.

    The frame is that of the lower bounds and estimates: an upper bound of log p(x), whose cost is far below them, is
    named in the legend alone.

    Args:
        records: those of a comparison's `tightness` part.
        axes: where to draw.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    looked = look or looks((record["bound"], record["bound"]) for record in records)
    low, high = _frame(records)
    axes.set_xscale("log", base=2)
    merged = _merged(records)
    for place, (names, group) in enumerate(merged):
        name, text = names[0], label(" = ".join(names), group[0]["claim"])
        if all(-record["value"] < low for record in group):
            text += ", below the frame"
        x, y, error = zip(*((r["particles"], -r["value"], r["error_over_draws"]) for r in group), strict=True)
        bars = axes.errorbar(x, y, error, label=text, elinewidth=0.8, capsize=1.5, **looked[name])
        set_aside(axes, bars, place, len(merged))
    if "log_evidence" in records[0]:
        axes.axhline(-records[0]["log_evidence"], color="0.35", linewidth=1.0, zorder=0, label="−log p(x), exact")
    axes.set_ylim(low, high)
    counts = sorted({record["particles"] for record in records})
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("particles S")
    axes.set_ylabel(f"−bound, mean, {records[0]['unit']}")
    return axes


def _merged(records: Sequence[dict[str, Any]]) -> list[tuple[list[str], list[dict[str, Any]]]]:
    """Bounds with their records; those that have the values of another, and would hide its line, are named with it."""
    found: list[tuple[list[str], list[dict[str, Any]]]] = []
    for name, group in grouped(records, "bound").items():
        points = {(record["particles"], record["value"]) for record in group}
        for names, other in found:
            if len(points) > 1 and points <= {(record["particles"], record["value"]) for record in other}:
                names.append(name)
                break
        else:
            found.append(([name], group))
    return found


def _frame(records: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The range of all but the upper bounds, with −log p(x), and room for an upper bound that is near."""
    held = [-r["value"] for r in records if not r["claim"].startswith("upper")] or [-r["value"] for r in records]
    held += [-records[0]["log_evidence"]] if "log_evidence" in records[0] else []
    span = max(held) - min(held) or 1.0
    near = [-r["value"] for r in records if -r["value"] >= min(held) - span]
    return min([*held, *near]) - 0.12 * span, max(held) + 0.08 * span
