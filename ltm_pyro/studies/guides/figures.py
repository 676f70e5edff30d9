"""Figures of a comparison of guides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.saving import Drawing, save_drawings

Record = dict[str, Any]
CURVES = (
    "−ELBO of held-out texts, scored with fresh noise, each point a separate fit, against fast steps and decoder "
    f"passes. All guides share the same texts; the table has the errors over texts. {LOWER}"
)
STEP_SIZES = f"−ELBO of held-out texts, scored with fresh noise, by the factor on each guide's step size. {LOWER}"
GAPS = (
    "Cost of each guide less the reference's, on the same texts: the total (dot, with one standard error of the paired "
    f"difference) and its two parts. {LOWER}"
)


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that has records, as PNG and SVG; returns the file names."""
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
