"""Tightness of bounds by the number of particles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import Looks, grouped, label, looks, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_tightness(
    records: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None, against_elbo: bool = False
) -> Axes:
    """Minus the mean of every bound by S, ± one standard error over draws of z; −log p(x) as a line if it is known.

    The limits of the axis are those of the lower bounds and estimates: an upper bound of log p(x) far outside them is
    named in the legend only.

    Args:
        records: records of a comparison's `tightness` part.
        axes: the Axes to draw on.
        look: styles by name from `looks`, to share among figures.
        against_elbo: draw the cost of each bound less −ELBO instead, ± one standard error paired by text.
    """
    styles = look or looks((record["bound"], record["bound"]) for record in records)
    records = [_less_elbo(record) for record in records] if against_elbo else records
    low, high = _frame(records)
    axes.set_xscale("log", base=2)
    merged = _merged(records)
    for place, (names, group) in enumerate(merged):
        name, text = names[0], label(" = ".join(names), group[0]["claim"])
        if all(-record["value"] < low for record in group):
            text += ", below the frame"
        x, y, error = zip(*((r["particles"], -r["value"], r["error_over_draws"]) for r in group), strict=True)
        bars = axes.errorbar(x, y, error, label=text, elinewidth=0.8, **styles[name])
        set_aside(axes, bars, place, len(merged))
    if "log_evidence" in records[0]:
        axes.axhline(-records[0]["log_evidence"], color="0.35", linewidth=1.0, zorder=0, label="−log p(x), exact")
    axes.set_ylim(low, high)
    counts = sorted({record["particles"] for record in records})
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("particles S")
    axes.set_ylabel(f"−bound, mean{', less −ELBO' if against_elbo else ''},\n{records[0]['unit']}")
    return axes


def _less_elbo(record: dict[str, Any]) -> dict[str, Any]:
    """Record with its value above the ELBO of the same draws, and the error of that difference over texts."""
    elbo = record["value"] - record["above_elbo"]
    less = {"value": record["above_elbo"], "error_over_draws": record["above_elbo_error"]}
    evidence = {"log_evidence": record["log_evidence"] - elbo} if "log_evidence" in record else {}
    return {**record, **less, **evidence}


def _merged(records: Sequence[dict[str, Any]]) -> list[tuple[list[str], list[dict[str, Any]]]]:
    """Bounds with their records; a bound with the same values as another shares its line and its legend entry."""
    merged: list[tuple[list[str], list[dict[str, Any]]]] = []
    for name, group in grouped(records, "bound").items():
        points = {(record["particles"], record["value"]) for record in group}
        for names, members in merged:
            if len(points) > 1 and points <= {(record["particles"], record["value"]) for record in members}:
                names.append(name)
                break
        else:
            merged.append(([name], group))
    return merged


def _frame(records: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Limits of the axis: all costs but those of upper bounds, −log p(x), and upper bounds close to them."""
    costs = [-r["value"] for r in records if not r["claim"].startswith("upper")] or [-r["value"] for r in records]
    costs += [-records[0]["log_evidence"]] if "log_evidence" in records[0] else []
    span = max(costs) - min(costs) or 1.0
    near = [-r["value"] for r in records if -r["value"] >= min(costs) - span]
    return min([*costs, *near]) - 0.12 * span, max(costs) + 0.08 * span
