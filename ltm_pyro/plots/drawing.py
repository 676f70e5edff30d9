"""Specification of a figure: panels, a caption and a final width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Panel = Callable[["Axes"], object]
Width = Literal["single", "double"]
WIDTHS: dict[Width, float] = {"single": 3.25, "double": 6.75}  # inches: one column and both, of a page of ICML


class Drawing(NamedTuple):
    """Specification of a figure.

    Attributes:
        name: stem of its files.
        panels: functions that each draw on one Axes.
        caption: quantities, units, amount of data, meaning of the error bars, and sign. It is kept beside the figure,
            not drawn in it.
        height: height of a panel, inches.
        columns: number of panels in a row.
        width: final width of the figure, one column of a page or both.
    """

    name: str
    panels: Sequence[Panel]
    caption: str
    height: float = 2.2
    columns: int = 2
    width: Width = "double"
