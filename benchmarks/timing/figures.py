"""Figures of measures and of their targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks.timing.measures import Measure
from ltm_pyro.plots.looks import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HELD, MISSED, PLAIN = COLOURS[3], COLOURS[2], COLOURS[1]


def bars(measures: Sequence[Measure], label: str) -> Callable[[Axes], None]:
    """A panel with a bar for each measure, its range, and its target as a stroke."""

    def draw(axes: Axes) -> None:
        for place, measure in enumerate(reversed(measures)):
            colour = {None: PLAIN, True: HELD, False: MISSED}[measure.reached]
            low, high = measure.median - min(measure.rounds), max(measure.rounds) - measure.median
            axes.barh(place, measure.median, 0.6, xerr=[[low], [high]], color=colour, ecolor="0.3", capsize=2)
            if measure.target is not None:
                axes.plot([measure.target] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.5)
        axes.set_yticks(range(len(measures)), [measure.name for measure in reversed(measures)])
        axes.set_xlabel(label)
        axes.set_xlim(left=0)

    return draw
