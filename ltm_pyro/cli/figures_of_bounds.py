"""The figures of a comparison of bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ltm_pyro.evaluation.compare_bounds import Comparison


class _Figure(NamedTuple):
    name: str
    panels: list[Callable[[Any], object]]
    legend: bool = True
    height: float = 2.9


def draw(comparison: Comparison, folder: Path) -> list[str]:
    """Write every figure that the records allow, as PNG and SVG; returns their file names."""
    from ltm_pyro.plots import save_figure

    names = []
    for figure in [*_of_bounds(comparison), *_of_gradients(comparison), *_of_curves(comparison)]:
        saved = save_figure(folder / figure.name, figure.panels, figure.legend, height=figure.height)
        names += [path.name for path in saved]
    return names


def _of_bounds(comparison: Comparison) -> list[_Figure]:
    from ltm_pyro import plots

    found = []
    tightness, weights = comparison.to_records("tightness"), comparison.to_records("weights")
    if tightness:
        found.append(_Figure("tightness", [partial(plots.plot_tightness, tightness, look=_look(comparison))]))
    if any(abs(record["pareto_k"]) < 1e9 for record in weights):  # a number, and a finite one
        found.append(_Figure("weights", [partial(plots.plot_pareto_k, weights)], legend=False))
    return found


def _of_gradients(comparison: Comparison) -> list[_Figure]:
    from ltm_pyro import plots

    look, records = _look(comparison), comparison.to_records("gradient")
    by = {who: [r for r in records if r["parameters"] == who] for who in "γθ"}
    panels = [partial(plots.plot_signal_to_noise, group, look=look) for group in by.values() if group]
    found = [_Figure("signal-to-noise", list(panels))] if panels else []
    for who, name in (("γ", "gamma"), ("θ", "theta")):
        shown = _at_one(by[who], comparison.at_particles)
        if shown:
            beside = partial(plots.plot_variance, shown, look=look, named=False)
            height = 0.2 * len(shown) + 0.8
            found.append(
                _Figure(f"gradient-{name}", [partial(plots.plot_bias, shown, look=look), beside], False, height)
            )
    return found


def _of_curves(comparison: Comparison) -> list[_Figure]:
    from ltm_pyro import plots

    look, found = _look(comparison), []
    for part in ("inference", "learning"):
        records = comparison.to_records(part)
        if records:
            panels = [partial(plots.plot_curves, records, by=by, look=look) for by in ("passes", "seconds")]
            found.append(_Figure(part, list(panels)))
    return found


def _look(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """One look for every estimator and every bound, in all figures."""
    from ltm_pyro.plots.looks import looks

    records = [record for record in comparison.to_records() if "bound" in record]
    pairs = [(r["bound"], r["estimator"]) for r in records if "estimator" in r]
    return looks([*((r["bound"], r["bound"]) for r in records), *pairs])


def _at_one(records: list[dict[str, Any]], particles: int) -> list[dict[str, Any]]:
    """The records of one S: that of the summary, or else the largest."""
    counts = {record["particles"] for record in records}
    shown = particles if particles in counts else max(counts, default=0)
    return [record for record in records if record["particles"] == shown]
