"""How often one of k attempts is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import grouped, looks, set_aside
from ltm_pyro.plots.text_sets import yerror

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_pass_at_k(records: Sequence[dict[str, Any]], axes: Axes, names: Mapping[str, str]) -> Axes:
    """Percent of problems against k, with one standard error: a colour a measure, a line a number of shots.

    Args:
        records: with `measure`, `shots`, `k`, `percent` and `standard_error`.
        axes: where to draw.
        names: what measures are called.
    """
    named = [{**record, "name": f"{names[record['measure']]}, {record['shots']} shots"} for record in records]
    look = looks((record["measure"], record["name"]) for record in named)
    groups = grouped(named, "name")
    for place, (name, own) in enumerate(groups.items()):
        errors = yerror([record["standard_error"] for record in own])
        bars = axes.errorbar([r["k"] for r in own], [r["percent"] for r in own], errors, label=name, **look[name])
        set_aside(axes, bars, place, len(groups))
    axes.set_xticks(sorted({record["k"] for record in records}))
    axes.set_xlabel("k, attempts")
    axes.set_ylabel("pass@k, % of problems")
    axes.set_ylim(bottom=0)
    return axes
