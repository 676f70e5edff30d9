"""Signal-to-noise ratio of gradients by the number of particles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import Looks, grouped, label, looks, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_signal_to_noise(records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """‖E g‖ / √(tr Var g) by S on logarithmic axes, ± one standard error, with grey reference lines of slopes ±1/2.

    Signals that do not exceed their standard error are left out.

    Args:
        records: records of a comparison's `gradient` part for γ or for θ.
        axes: the Axes to draw on.
        look: styles by name from `looks`, to share among figures.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    styles = look or looks((record["bound"], record["estimator"]) for record in records)
    axes.set_xscale("log", base=2)
    groups = grouped(records, "estimator")
    for place, (name, group) in enumerate(groups.items()):
        visible = [r for r in group if r["snr"] > r["snr_error"]]  # false for NaN
        x, y = [r["particles"] for r in visible], [r["snr"] for r in visible]
        errors = [r["snr_error"] for r in visible]
        text = label(name, group[0]["claim"]) + ("" if visible else ", not above its error")
        bars = axes.errorbar(x, y, errors, label=text, elinewidth=0.8, **styles[name])
        set_aside(axes, bars, place, len(groups))
    if any(record["snr"] > record["snr_error"] for record in records):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    _guides(records, axes)
    counts = sorted({record["particles"] for record in records})
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("particles S")
    axes.set_ylabel(f"signal-to-noise ratio,\ngradient by {records[0]['parameters']}")
    return axes


def _guides(records: Sequence[dict[str, Any]], axes: Axes) -> None:
    """Draw reference lines of the two theoretical slopes, from the median at the smallest S."""
    counts = sorted({record["particles"] for record in records})
    starts = sorted(r["snr"] for r in records if r["particles"] == counts[0] and r["snr"] > r["snr_error"])
    if not starts or len(counts) < 2:
        return
    frame, start, ratio = axes.get_ylim(), starts[len(starts) // 2], (counts[-1] / counts[0]) ** 0.5
    for end, text in ((start * ratio, "slopes ±1/2, to compare"), (start / ratio, None)):
        axes.plot([counts[0], counts[-1]], [start, end], color="0.8", linewidth=4, zorder=0, label=text)
    axes.set_ylim(min(frame[0], 0.9 * start / ratio), max(frame[1], 1.1 * start * ratio))
