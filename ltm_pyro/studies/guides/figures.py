"""Figures of a comparison of guides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltm_pyro.plots.captions import CAPTIONS
from ltm_pyro.plots.drawing import Drawing
from ltm_pyro.plots.saving import save_drawings

Record = dict[str, Any]
CURVES = f"Guides against fast steps and decoder passes. {CAPTIONS['plot_guide_curves']}"
STEP_SIZES = f"Guides by the factor on each one's step size. {CAPTIONS['plot_guide_curves']}"


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that has records; returns the file names."""
    return save_drawings(folder, drawings(records))


def drawings(records: Sequence[Record]) -> list[Drawing]:
    """Drawings of every figure that has records."""
    from ltm_pyro.plots.gaps import plot_gaps
    from ltm_pyro.plots.guide_curves import plot_guide_curves
    from ltm_pyro.plots.style import looks

    by = {part: [r for r in records if r["part"] == part] for part in ("curve", "step size", "gap")}
    look = looks((record["guide"], record["guide"]) for record in records)
    found = []
    if by["curve"]:
        panels = [partial(plot_guide_curves, by["curve"], by=axis, look=look) for axis in ("steps", "passes")]
        found.append(Drawing("curves", list(panels), CURVES, 2.7))
    if by["step size"]:
        panels = [partial(plot_guide_curves, by["step size"], by="factor", look=look)]
        found.append(Drawing("step-sizes", list(panels), STEP_SIZES, 2.8))
    if by["gap"]:
        panel = partial(plot_gaps, by["gap"])
        found.append(Drawing("gaps", [panel], CAPTIONS["plot_gaps"], 0.2 * len(by["gap"]) + 0.9))
    return found
