"""pass@k, the share of problems with a right answer among k attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import grouped, looks, set_aside
from ltm_pyro.plots.text_sets import yerror

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_pass_at_k(records: Sequence[dict[str, Any]], axes: Axes, names: Mapping[str, str]) -> Axes:
    """Percent of problems against k, with one standard error: a colour per measure, a line per number of shots.

    Args:
        records: records with `measure`, `shots`, `k`, `percent` and `standard_error`.
        axes: the Axes to draw on.
        names: display names of the measures.
    """
    rows = [{**record, "name": f"{names[record['measure']]}, {record['shots']} shots"} for record in records]
    look = looks((record["measure"], record["name"]) for record in rows)
    groups = grouped(rows, "name")
    for place, (name, series) in enumerate(groups.items()):
        errors = yerror([record["standard_error"] for record in series])
        bars = axes.errorbar([r["k"] for r in series], [r["percent"] for r in series], errors, label=name, **look[name])
        set_aside(axes, bars, place, len(groups))
    axes.set_xticks(sorted({record["k"] for record in records}))
    axes.set_xlabel("k, attempts")
    axes.set_ylabel("pass@k, % of problems")
    axes.set_ylim(bottom=0)
    return axes
