"""Accuracy of methods of inference-time computation against decoder passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import grouped, looks, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_accuracy_by_passes(records: Sequence[dict[str, Any]], axes: Axes, names: Mapping[str, str]) -> Axes:
    """Percent of right answers against token-passes a problem, a line for each method, with Wilson's 95 % intervals.

    Args:
        records: records with `method`, `percent`, `low`, `high` and `passes`; with `group` too, a line for each of its
            values.
        axes: the Axes to draw on.
        names: display names of the methods.
    """
    rows = [{**record, "name": _name(record, names)} for record in records]
    look = looks((record["method"], record["name"]) for record in rows)
    groups = grouped(rows, "name")
    for place, (name, series) in enumerate(groups.items()):
        points = sorted(series, key=lambda record: record["passes"])
        below = [max(0.0, record["percent"] - record["low"]) for record in points]
        above = [max(0.0, record["high"] - record["percent"]) for record in points]
        x, y = [record["passes"] for record in points], [record["percent"] for record in points]
        bars = axes.errorbar(x, y, [below, above], label=name, **look[name])
        set_aside(axes, bars, place, len(groups))
    axes.set_xscale("log")
    axes.set_xlabel("decoder passes, tokens a problem")
    axes.set_ylabel("right answers, % of problems")
    axes.set_ylim(bottom=0)
    return axes


def _name(record: Mapping[str, Any], names: Mapping[str, str]) -> str:
    group = f", {record['group']}" if record.get("group") else ""
    return f"{names[record['method']]}{group}"
