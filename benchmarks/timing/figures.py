"""Figures of measures with their targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.timing.measures import Measure
from ltm_pyro.plots.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {None: (1, "no target"), True: (3, "target reached"), False: (2, "target missed")}  # places of colours


def bars(measures: Sequence[Measure], label: str) -> Callable[[Axes], None]:
    """Panel with a bar and a range for each measure, and a line for its target."""

    def draw(axes: Axes) -> None:
        named = any(measure.target is not None for measure in measures)
        for place, measure in enumerate(reversed(measures)):
            shade, kind = KINDS[measure.reached]
            low, high = measure.median - min(measure.rounds), max(measure.rounds) - measure.median
            look: dict[str, Any] = {"color": colour(shade), "ecolor": "0.3", "label": kind if named else None}
            axes.barh(place, measure.median, 0.6, xerr=[[low], [high]], **look)
            if measure.target is not None:
                ends = [place - 0.4, place + 0.4]
                axes.plot([measure.target] * 2, ends, color="black", linewidth=1.5, label="target")
        axes.set_yticks(range(len(measures)), [measure.name for measure in reversed(measures)])
        axes.set_xlabel(label)
        axes.set_ylabel("measure")
        axes.set_xlim(left=0)

    return draw
