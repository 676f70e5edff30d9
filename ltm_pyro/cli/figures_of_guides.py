"""The figures of a comparison of guides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that there are records for, as PNG and SVG; returns their file names."""
    from ltm_pyro.plots import save_figure
    from ltm_pyro.plots.gaps import plot_gaps
    from ltm_pyro.plots.guide_curves import plot_guide_curves
    from ltm_pyro.plots.looks import looks

    by = {part: [r for r in records if r["part"] == part] for part in ("curve", "step size", "gap")}
    look = looks((record["guide"], record["guide"]) for record in records)
    names: list[str] = []
    if by["curve"]:
        panels = [partial(plot_guide_curves, by["curve"], by=axis, look=look) for axis in ("steps", "passes")]
        names += [path.name for path in save_figure(folder / "curves", list(panels), width=4.2, height=3.6)]
    if by["step size"]:
        panels = [partial(plot_guide_curves, by["step size"], by="factor", look=look)]
        names += [path.name for path in save_figure(folder / "step-sizes", list(panels), width=6.2, height=3.6)]
    if by["gap"]:
        height = 0.24 * len(by["gap"]) + 1.1
        saved = save_figure(folder / "gaps", [partial(plot_gaps, by["gap"])], width=4.6, height=height)
        names += [path.name for path in saved]
    return names
