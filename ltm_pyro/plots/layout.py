"""Layout of a figure: its final width, its panels, and one legend of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.drawing import WIDTHS, Drawing
from ltm_pyro.plots.style import in_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

GAP = 0.05  # inches between panels and legend


def drawn(drawing: Drawing) -> Figure:
    """Matplotlib figure of a drawing in the library's style; its label is the caption."""
    with in_style():
        return draw_figure(drawing)


def draw_figure(drawing: Drawing) -> Figure:
    """Matplotlib figure of a drawing, in the style of the current `rc_context`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = drawing.panels
    across = min(drawing.columns, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(WIDTHS[drawing.width], drawing.height * down), layout="constrained")
    FigureCanvasAgg(figure)
    figure.set_label(drawing.caption)
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, draw in zip(grid, panels, strict=False):
        draw(axes)
    for axes in grid[len(panels) :]:
        axes.remove()
    _fit(figure, _legend(figure))
    return figure


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


def _fit(figure: Figure, legend: Legend | None) -> None:
    """Make room below the panels for the legend, and a gap between them."""
    if legend is None:
        return
    legend_height = _inches(figure, legend)[1] + GAP
    height = figure.get_figheight() + legend_height
    figure.set_figheight(height)
    legend.set_bbox_to_anchor((0.5, 0.0), transform=figure.transFigure)
    below = legend_height / height
    figure.set_layout_engine("constrained", rect=(0, below, 1, 1 - below))


def _inches(figure: Figure, artist: Any) -> tuple[float, float]:
    box = artist.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return box.width / figure.dpi, box.height / figure.dpi
