"""Figures as files: one width, one size of letters, a legend, a caption."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ltm_pyro.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text

Panel = Callable[["Axes"], object]
WIDE, NARROW = 7.0, 4.2  # inches: a page of text, and a panel that stands alone
LETTERS = 7.0  # points, of the smallest letters
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": LETTERS,
    "ytick.labelsize": LETTERS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": LETTERS,
    "legend.frameon": False,
    "svg.hashsalt": "ltm_pyro",  # equal figures are equal files
    "svg.fonttype": "none",  # text stays text
    "text.usetex": False,  # a `matplotlibrc` of the current folder would have latex run
}


class Drawing(NamedTuple):
    """A figure to be drawn: its name, and the arguments of `save_figure`."""

    name: str
    panels: Sequence[Panel]
    caption: str
    height: float = 2.5
    columns: int = 2
    wide: bool = True


def drawn(drawing: Drawing) -> Figure:
    """The figure itself, as it would be written."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        return draw_figure(drawing.panels, drawing.caption, drawing.height, drawing.columns, drawing.wide)


def save_drawings(folder: Path, drawings: Iterable[Drawing], prefix: str = "") -> list[str]:
    """Write figures into a folder, as PNG and SVG; returns their file names."""
    names = []
    for one in drawings:
        stem = folder / f"{prefix}{one.name}"
        names += [path.name for path in save_figure(stem, one.panels, one.caption, one.height, one.columns, one.wide)]
    return names


def save_figure(
    stem: Path, panels: Sequence[Panel], caption: str, height: float = 2.5, columns: int = 2, wide: bool = True
) -> list[Path]:
    """Draw panels and write them as PNG and SVG; returns the paths.

    A figure is as wide as a page of text, 7 inches, or 4.2 if it is not to be wide, and no letter in it is below 7
    points: pages that show 125 pixels an inch show them at 12 pixels. All panels' names stand in one legend below them.
    Matplotlib's global state is left as it was; no window opens.

    Args:
        stem: the path without its ending.
        panels: each draws on one Axes.
        caption: below the panels: what is shown, of how much data, and what the errors are.
        height: of a panel, in inches.
        columns: panels side by side; the others stand below.
        wide: whether the figure has the width of a page.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = draw_figure(panels, caption, height, columns, wide)
        paths = [stem.with_suffix(ending) for ending in (".png", ".svg")]
        for path in paths:
            write_bytes(path, _rendered(figure, path.suffix[1:], caption))
    return paths


def _rendered(figure: Figure, kind: str, caption: str) -> bytes:
    """The file of a figure; the first one lays it out for all that follow."""
    stamp: Any = {"Date": None} if kind == "svg" else {}
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind, dpi=200, metadata={**stamp, "Description": caption})
    figure.set_layout_engine("none")
    return drawn.getvalue()


def draw_figure(
    panels: Sequence[Panel], caption: str, height: float = 2.5, columns: int = 2, wide: bool = True
) -> Figure:
    """The figure that `save_figure` writes, in the style of the current `rc_context`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(columns, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(WIDE if wide else NARROW, height * down), layout="constrained")
    FigureCanvasAgg(figure)
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, draw in zip(every, panels, strict=False):
        draw(axes)
    for axes in every[len(panels) :]:
        axes.remove()
    _fit(figure, _caption(figure, caption), _legend(figure))
    return figure


def _caption(figure: Figure, text: str) -> Text:
    """The caption at the foot of the figure, in lines that fit."""
    lines = textwrap.fill(text.replace("$", r"\$"), int(19 * figure.get_figwidth()))
    return figure.text(0.01, 0.0, lines, va="bottom", ha="left", fontsize=LETTERS, linespacing=1.25)


def _legend(figure: Figure) -> Legend | None:
    """A legend of all names, once each, in as many columns as there is room for."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    for columns in range(min(len(named), 6), 0, -1):
        legend = figure.legend(named.values(), named.keys(), loc="lower center", ncols=columns)
        if columns == 1 or _inches(figure, legend)[0] < 0.98 * figure.get_figwidth():
            return legend
        legend.remove()
    return None


def _fit(figure: Figure, caption: Text, legend: Legend | None) -> None:
    """Make room below the panels for the legend, and below that for the caption."""
    foot = _inches(figure, caption)[1] + 0.1 if caption.get_text() else 0.0
    named = _inches(figure, legend)[1] if legend else 0.0
    height = figure.get_figheight() + foot + named
    figure.set_figheight(height)
    caption.set_y(0.04 / height)
    if legend:
        legend.set_bbox_to_anchor((0.5, foot / height), transform=figure.transFigure)
    below = (foot + named) / height
    figure.set_layout_engine("constrained", rect=(0, below, 1, 1 - below))


def _inches(figure: Figure, artist: Any) -> tuple[float, float]:
    box = artist.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return box.width / figure.dpi, box.height / figure.dpi
