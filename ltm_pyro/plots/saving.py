"""Figures as files, with their captions beside them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ltm_pyro.files import write_bytes
from ltm_pyro.plots.drawing import Drawing, Panel, Width
from ltm_pyro.plots.layout import draw_figure
from ltm_pyro.plots.style import in_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["png", "svg", "pdf", "txt"]
KINDS: tuple[Kind, ...] = ("png", "svg", "pdf", "txt")  # the last is the caption


def save_figure(
    stem: Path,
    panels: Sequence[Panel],
    caption: str,
    height: float = 2.2,
    columns: int = 2,
    width: Width = "double",
    kinds: Sequence[Kind] = KINDS,
) -> list[Path]:
    """Draw panels and write them as PNG (200 dpi), SVG and PDF, with the caption as a text file; returns the paths.

    The figure has its final width: 3.25 inches, one column, or 6.75, both columns of a page. Its letters have 8 points,
    those of ticks and legends 7. The names of all panels are in one legend below them. The caption is also the
    description in the files' metadata. Matplotlib's global state is left as it was; no window opens.

    Args:
        stem: path without suffix.
        panels: functions that each draw on one Axes.
        caption: quantities, units, amount of data, meaning of the error bars, and sign.
        height: height of a panel, inches.
        columns: number of panels in a row.
        width: `single` or `double`, the columns that the figure is as wide as.
        kinds: suffixes of the files.

    Raises:
        OSError: if a file cannot be written.
    """
    return save_drawing(stem, Drawing(stem.name, panels, caption, height, columns, width), kinds)


def save_drawing(stem: Path, drawing: Drawing, kinds: Sequence[Kind] = KINDS) -> list[Path]:
    """Write a drawing's files, as `save_figure` does; returns the paths."""
    paths = []
    with in_style():
        figure = draw_figure(drawing)
        for kind in kinds:
            path = stem.parent / f"{stem.name}.{kind}"
            text = f"{drawing.caption}\n".encode()
            write_bytes(path, text if kind == "txt" else _rendered(figure, kind, drawing.caption))
            paths.append(path)
    return paths


def save_drawings(folder: Path, drawings: Iterable[Drawing], prefix: str = "") -> list[str]:
    """Write figures into a folder; returns their file names."""
    return [path.name for drawing in drawings for path in save_drawing(folder / f"{prefix}{drawing.name}", drawing)]


def _rendered(figure: Figure, kind: str, caption: str) -> bytes:
    """Bytes of a figure's file, without dates; the first call fixes the layout for all later calls."""
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Description": caption, "Software": None},
        "svg": {"Description": caption, "Date": None},
        "pdf": {"Subject": caption, "CreationDate": None},
    }
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=metadata[kind])
    figure.set_layout_engine("none")
    return buffer.getvalue()
