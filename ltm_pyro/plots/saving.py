"""Figures as files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "svg.hashsalt": "ltm_pyro",  # equal figures are equal files
    "svg.fonttype": "none",  # text stays text
    "text.usetex": False,  # a `matplotlibrc` of the current folder would have latex run
}


def save_figure(
    stem: Path, panels: Sequence[Callable[[Axes], object]], legend: bool = True, width: float = 3.6, height: float = 2.9
) -> list[Path]:
    """Draw panels side by side and write them as PNG and SVG; returns the paths.

    Matplotlib's global state is left as it was; no window opens.

    Args:
        stem: the path without its ending.
        panels: each draws on one Axes.
        legend: of the first panel's names, to the right of all.
        width, height: of a panel, in inches.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width * len(panels) + 1.6 * legend, height), layout="constrained")
        FigureCanvasAgg(figure)
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, draw in zip(every, panels, strict=True):
            draw(axes)
        if legend:
            named = dict(zip(*reversed(every[0].get_legend_handles_labels()), strict=True))
            for axes in every[1:]:
                for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
                    named.setdefault(name, handle)
            figure.legend(named.values(), named.keys(), loc="outside right center")
        paths = [stem.with_suffix(ending) for ending in (".png", ".svg")]
        for path in paths:
            stamp = {"Date": None} if path.suffix == ".svg" else None
            drawn = io.BytesIO()
            figure.savefig(drawn, format=path.suffix[1:], dpi=200, metadata=stamp)
            write_bytes(path, drawn.getvalue())
    return paths
