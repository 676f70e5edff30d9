"""The figures of a comparison of guides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.saving import Drawing, save_drawings

Record = dict[str, Any]
CURVES = (
    "−ELBO of held-out texts by fresh noise, each point a fit of its own, against fast steps and decoder passes. The "
    f"texts are the same for all; the table has the errors over them. {LOWER}"
)
STEP_SIZES = f"−ELBO of held-out texts by fresh noise, against the factor on each guide's step size. {LOWER}"
GAPS = (
    "How much more each guide costs than the reference, the same texts for all: the whole (dot, with one standard "
    f"error of the paired difference) and its two parts. {LOWER}"
)


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that there are records for, as PNG and SVG; returns their file names."""
    from ltm_pyro.plots.gaps import plot_gaps
    from ltm_pyro.plots.guide_curves import plot_guide_curves
    from ltm_pyro.plots.style import looks

    by = {part: [r for r in records if r["part"] == part] for part in ("curve", "step size", "gap")}
    look = looks((record["guide"], record["guide"]) for record in records)
    drawings = []
    if by["curve"]:
        panels = [partial(plot_guide_curves, by["curve"], by=axis, look=look) for axis in ("steps", "passes")]
        drawings.append(Drawing("curves", list(panels), CURVES, 3.0))
    if by["step size"]:
        panels = [partial(plot_guide_curves, by["step size"], by="factor", look=look)]
        drawings.append(Drawing("step-sizes", list(panels), STEP_SIZES, 3.2))
    if by["gap"]:
        drawings.append(Drawing("gaps", [partial(plot_gaps, by["gap"])], GAPS, 0.24 * len(by["gap"]) + 1.1))
    return save_drawings(folder, drawings)
