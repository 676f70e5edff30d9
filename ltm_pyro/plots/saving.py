"""Figures as files, with common widths and font sizes, a legend and a caption."""

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
WIDE, NARROW = 7.0, 4.2  # inches: the width of a page of text, and of a single panel
LETTERS = 7.0  # smallest font size, points
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
    """Specification of a figure: its name, and the arguments of `save_figure`."""

    name: str
    panels: Sequence[Panel]
    caption: str
    height: float = 2.5
    columns: int = 2
    wide: bool = True


def drawn(drawing: Drawing) -> Figure:
    """Matplotlib figure of a drawing, as `save_figure` writes it."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        return draw_figure(drawing.panels, drawing.caption, drawing.height, drawing.columns, drawing.wide)


def save_drawings(folder: Path, drawings: Iterable[Drawing], prefix: str = "") -> list[str]:
    """Write figures into a folder, as PNG and SVG; returns their file names."""
    names = []
    for drawing in drawings:
        stem = folder / f"{prefix}{drawing.name}"
        paths = save_figure(stem, drawing.panels, drawing.caption, drawing.height, drawing.columns, drawing.wide)
        names += [path.name for path in paths]
    return names


def save_figure(
    stem: Path, panels: Sequence[Panel], caption: str, height: float = 2.5, columns: int = 2, wide: bool = True
) -> list[Path]:
    """Draw panels and write them as PNG and SVG; returns the paths.

    A wide figure has the width of a page of text, 7 inches, a narrow one 4.2. The smallest font size is 7 points, 12
    pixels on a page of 125 pixels per inch. The names of all panels are in one legend below them. Matplotlib's global
    state is left as it was; no window opens.

    Args:
        stem: path without suffix.
        panels: functions that each draw on one Axes.
        caption: text below the panels: the quantities, the amount of data, and the meaning of the errors.
        height: height of a panel, inches.
        columns: number of panels in a row.
        wide: give the figure the width of a page.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = draw_figure(panels, caption, height, columns, wide)
        paths = [stem.with_suffix(ending) for ending in (".png", ".svg")]
        for path in paths:
            write_bytes(path, _rendered(figure, path.suffix[1:], caption))
    return paths


def _rendered(figure: Figure, kind: str, caption: str) -> bytes:
    """Bytes of a figure's file; the first call fixes the layout for all later calls."""
    stamp: Any = {"Date": None} if kind == "svg" else {}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=200, metadata={**stamp, "Description": caption})
    figure.set_layout_engine("none")
    return buffer.getvalue()


def draw_figure(
    panels: Sequence[Panel], caption: str, height: float = 2.5, columns: int = 2, wide: bool = True
) -> Figure:
    """Figure that `save_figure` writes, in the style of the current `rc_context`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(columns, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(WIDE if wide else NARROW, height * down), layout="constrained")
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, draw in zip(grid, panels, strict=False):
        draw(axes)
    for axes in grid[len(panels) :]:
        axes.remove()
    _fit(figure, _caption(figure, caption), _legend(figure))
    return figure


def _caption(figure: Figure, text: str) -> Text:
    """Add the caption at the foot of the figure, wrapped to its width."""
    lines = textwrap.fill(text.replace("$", r"\$"), int(19 * figure.get_figwidth()))
    return figure.text(0.01, 0.0, lines, va="bottom", ha="left", fontsize=LETTERS, linespacing=1.25)


def _legend(figure: Figure) -> Legend | None:
    """Add a legend of all names, once each, in as many columns as fit."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    for columns in range(min(len(handles), 6), 0, -1):
        legend = figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=columns)
        if columns == 1 or _inches(figure, legend)[0] < 0.98 * figure.get_figwidth():
            return legend
        legend.remove()
    return None


def _fit(figure: Figure, caption: Text, legend: Legend | None) -> None:
    """Make room below the panels for the legend, and below the legend for the caption."""
    foot = _inches(figure, caption)[1] + 0.1 if caption.get_text() else 0.0
    legend_height = _inches(figure, legend)[1] if legend else 0.0
    height = figure.get_figheight() + foot + legend_height
    figure.set_figheight(height)
    caption.set_y(0.04 / height)
    if legend:
        legend.set_bbox_to_anchor((0.5, foot / height), transform=figure.transFigure)
    below = (foot + legend_height) / height
    figure.set_layout_engine("constrained", rect=(0, below, 1, 1 - below))


def _inches(figure: Figure, artist: Any) -> tuple[float, float]:
    box = artist.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return box.width / figure.dpi, box.height / figure.dpi
