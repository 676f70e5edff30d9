"""Figures of a comparison of bounds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.captions import CAPTIONS
from ltm_pyro.plots.drawing import Drawing
from ltm_pyro.plots.saving import save_drawings

if TYPE_CHECKING:
    from ltm_pyro.studies.bounds.measured import Measured

GRADIENT = f"{CAPTIONS['plot_bias']} {CAPTIONS['plot_variance']}"
CURVES = {
    "inference": f"Fit of q from its start by each estimator. {CAPTIONS['plot_curves']}",
    "learning": f"Training of the model by each estimator. {CAPTIONS['plot_curves']}",
}


def draw(comparison: Measured, folder: Path) -> list[str]:
    """Write every figure that has records; returns the file names."""
    return save_drawings(folder, drawings(comparison))


def drawings(comparison: Measured) -> list[Drawing]:
    """Drawings of every figure that has records."""
    return [*_of_bounds(comparison), *_of_gradients(comparison), *_of_curves(comparison)]


def _of_bounds(comparison: Measured) -> list[Drawing]:
    from ltm_pyro import plots

    drawings = []
    tightness, weights = comparison.to_records("tightness"), comparison.to_records("weights")
    if tightness:
        panels = [
            partial(plots.plot_tightness, tightness, look=_look(comparison), against_elbo=less)
            for less in (False, True)
        ]
        drawings.append(Drawing("tightness", list(panels), CAPTIONS["plot_tightness"], height=2.8))
    if any(abs(record["pareto_k"]) < 1e9 for record in weights):  # neither NaN nor infinite
        panel = partial(plots.plot_pareto_k, weights)
        drawings.append(Drawing("weights", [panel], CAPTIONS["plot_pareto_k"], width="single"))
    return drawings


def _of_gradients(comparison: Measured) -> list[Drawing]:
    from ltm_pyro import plots

    look, records = _look(comparison), comparison.to_records("gradient")
    by = {who: [r for r in records if r["parameters"] == who] for who in "γθ"}
    panels = [partial(plots.plot_signal_to_noise, group, look=look) for group in by.values() if group]
    drawings = (
        [Drawing("signal-to-noise", list(panels), CAPTIONS["plot_signal_to_noise"], height=2.8)] if panels else []
    )
    for who, name in (("γ", "gamma"), ("θ", "theta")):
        rows = _at_one(by[who], comparison.at_particles)
        if rows:
            variance = partial(plots.plot_variance, rows, look=look, named=False)
            panels = [partial(plots.plot_bias, rows, look=look), variance]
            drawings.append(Drawing(f"gradient-{name}", panels, GRADIENT, 0.2 * len(rows) + 0.9))
    return drawings


def _of_curves(comparison: Measured) -> list[Drawing]:
    from ltm_pyro import plots

    look, drawings = _look(comparison), []
    for part in ("inference", "learning"):
        records = comparison.to_records(part)
        if records:
            panels = [partial(plots.plot_curves, records, by=by, look=look) for by in ("passes", "seconds")]
            drawings.append(Drawing(part, list(panels), CURVES[part], height=2.7))
    return drawings


def _look(comparison: Measured) -> dict[str, dict[str, Any]]:
    """Styles of all estimators and bounds, common to all figures."""
    from ltm_pyro.plots.style import looks

    records = [record for record in comparison.to_records() if "bound" in record]
    pairs = [(r["bound"], r["estimator"]) for r in records if "estimator" in r]
    return looks([*((r["bound"], r["bound"]) for r in records), *pairs])


def _at_one(records: list[dict[str, Any]], particles: int) -> list[dict[str, Any]]:
    """Records at a single S: that of the summary, or else the largest."""
    counts = {record["particles"] for record in records}
    count = particles if particles in counts else max(counts, default=0)
    return [record for record in records if record["particles"] == count]
