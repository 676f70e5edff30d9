"""The figures of a comparison of bounds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.saving import Drawing, save_drawings

if TYPE_CHECKING:
    from ltm_pyro.studies.bounds import Comparison

TIGHTNESS = (
    "Minus the mean of each bound of log p(x), against its particles S. Lower is tighter; of an upper bound, whose "
    "cost lies below −log p(x), higher is. Bars: one standard error over draws of z."
)
WEIGHTS = "How far each sequence's importance weights can be trusted: not above a Pareto k-hat of 0.7."
SIGNAL = (
    "Length of the mean gradient over the spread of one, by the fast loop's parameters γ and the model's θ: higher is "
    "clearer. Bars: one standard error; no point where the ratio is not above it."
)
GRADIENT = (
    "Bias of each gradient along the exact one (bars: two standard errors; hollow: it follows another objective than "
    "its bound), and its variance."
)
CURVES = {
    "inference": f"Fitting q from its start by each estimator: ELBO by fresh noise, against what it took. {LOWER}",
    "learning": f"Training the model by each estimator: ELBO by fresh noise, against what it took. {LOWER}",
}


def draw(comparison: Comparison, folder: Path) -> list[str]:
    """Write every figure that the records allow, as PNG and SVG; returns their file names."""
    return save_drawings(folder, [*_of_bounds(comparison), *_of_gradients(comparison), *_of_curves(comparison)])


def _of_bounds(comparison: Comparison) -> list[Drawing]:
    from ltm_pyro import plots

    found = []
    tightness, weights = comparison.to_records("tightness"), comparison.to_records("weights")
    if tightness:
        panel = partial(plots.plot_tightness, tightness, look=_look(comparison))
        found.append(Drawing("tightness", [panel], TIGHTNESS, height=3.2))
    if any(abs(record["pareto_k"]) < 1e9 for record in weights):  # a number, and a finite one
        found.append(Drawing("weights", [partial(plots.plot_pareto_k, weights)], WEIGHTS, wide=False))
    return found


def _of_gradients(comparison: Comparison) -> list[Drawing]:
    from ltm_pyro import plots

    look, records = _look(comparison), comparison.to_records("gradient")
    by = {who: [r for r in records if r["parameters"] == who] for who in "γθ"}
    panels = [partial(plots.plot_signal_to_noise, group, look=look) for group in by.values() if group]
    found = [Drawing("signal-to-noise", list(panels), SIGNAL, height=3.2)] if panels else []
    for who, name in (("γ", "gamma"), ("θ", "theta")):
        shown = _at_one(by[who], comparison.at_particles)
        if shown:
            beside = partial(plots.plot_variance, shown, look=look, named=False)
            both = [partial(plots.plot_bias, shown, look=look), beside]
            found.append(Drawing(f"gradient-{name}", both, GRADIENT, 0.2 * len(shown) + 0.9))
    return found


def _of_curves(comparison: Comparison) -> list[Drawing]:
    from ltm_pyro import plots

    look, found = _look(comparison), []
    for part in ("inference", "learning"):
        records = comparison.to_records(part)
        if records:
            panels = [partial(plots.plot_curves, records, by=by, look=look) for by in ("passes", "seconds")]
            found.append(Drawing(part, list(panels), CURVES[part], height=3.0))
    return found


def _look(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """One look for every estimator and every bound, in all figures."""
    from ltm_pyro.plots.style import looks

    records = [record for record in comparison.to_records() if "bound" in record]
    pairs = [(r["bound"], r["estimator"]) for r in records if "estimator" in r]
    return looks([*((r["bound"], r["bound"]) for r in records), *pairs])


def _at_one(records: list[dict[str, Any]], particles: int) -> list[dict[str, Any]]:
    """The records of one S: that of the summary, or else the largest."""
    counts = {record["particles"] for record in records}
    shown = particles if particles in counts else max(counts, default=0)
    return [record for record in records if record["particles"] == shown]
