"""The figures of a study of scale, after the paper's: against T_fast, against compute, against tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.saving import Drawing, save_drawings
from ltm_pyro.studies.records import Record
from ltm_pyro.studies.scale.grid import AS_TRAINED
from ltm_pyro.studies.scale.records import BOUNDS, Compute
from ltm_pyro.studies.scale.table import fitted, name_of

Panels = list[Callable[[Any], Any]]
PANELS = (
    ("elbo", "nats_per_token"),
    ("importance_weighted", "nats_per_token"),
    ("importance_weighted", "bits_per_byte"),
)
WIDE_BARS = f"Bars: one standard error over texts, which are the same for all models; small dots: seeds. {LOWER}"
FAST_STEPS = f"Bounds of held-out text against the fast steps of training. {WIDE_BARS}"
INFERENCE = f"Bounds of held-out text against the fast steps of inference. {WIDE_BARS}"
FLOPS = f"Bounds of held-out text against compute, with a law where one can be fitted. {WIDE_BARS}"
LEARNING = f"Bounds of held-out text while the models learn, a line a run. {LOWER}"
LABELS: dict[Compute, str] = {
    "flops_per_token": "training FLOPs per token, spent",
    "paper_flops_per_token": "training FLOPs per token, as the paper counts",
}


def draw(
    rows: Sequence[Record],
    runs: Sequence[Record],
    laws: Sequence[Record],
    curves: Sequence[Record],
    compute: Compute,
    folder: Path,
) -> list[str]:
    """Write every figure that there are numbers for, as PNG and SVG; returns their file names.

    Args:
        rows: a summary of every model at each T_fast of inference.
        runs: a record of every run that is done, at each.
        laws: as `results_of_scale.laws` gives them.
        curves: points of every run's learning curve.
        compute: what the laws are of.
        folder: made if need be.
    """
    if not rows:
        return []
    folder.mkdir(exist_ok=True)
    return save_drawings(folder, _figures(rows, runs, laws, curves, compute))


def _figures(
    rows: Sequence[Record], runs: Sequence[Record], laws: Sequence[Record], curves: Sequence[Record], compute: Compute
) -> list[Drawing]:
    found = []
    for inference in dict.fromkeys(row["inference"] for row in rows):
        ours, theirs = ([one for one in group if one["inference"] == inference] for group in (rows, runs))
        at = "" if inference == AS_TRAINED else f"-inference-{inference}"
        if len({row["fast_steps"] for row in ours}) > 1:
            panels = _against(ours, theirs, "fast_steps", "T_fast in training")
            found.append(Drawing(f"fast-steps{at}", panels, FAST_STEPS, columns=3))
        found.append(Drawing(f"flops{at}", _against_compute(ours, theirs, laws, compute), FLOPS, 2.8))
    if len({row["inference"] for row in rows}) > 1:
        found.append(
            Drawing("inference", _against(rows, runs, "inference_steps", "T_fast at inference"), INFERENCE, columns=3)
        )
    if len({point["step"] for point in curves}) > 1:
        found.append(Drawing("learning", _learning(curves), LEARNING))
    return found


def _against(rows: Sequence[Record], runs: Sequence[Record], by: str, label: str) -> Panels:
    """Bounds in both units, a line for each model that differs in anything else."""
    from ltm_pyro.plots.scaling import plot_scaling

    named, dots = (_named(group, rows, [by]) for group in (rows, runs))
    return [partial(plot_scaling, named, by=by, label=label, number=n, unit=u, runs=dots) for n, u in PANELS]


def _against_compute(
    rows: Sequence[Record], runs: Sequence[Record], laws: Sequence[Record], compute: Compute
) -> Panels:
    """Both bounds, each with its law."""
    from ltm_pyro.plots.scaling import plot_law, plot_scaling

    named, dots = (_named(group, rows, ["fast_steps", "layers", "width", "window"]) for group in (rows, runs))

    def panel(number: str, axes: Any) -> None:
        plot_scaling(named, axes, compute, LABELS[compute], number, runs=dots, joined=False)
        for record in laws:
            if record["law"] is not None and (record["inference"], record["number"]) == (rows[0]["inference"], number):
                budgets, loss, low, high = _line(record["law"], rows, compute)
                plot_law(budgets, loss, low, high, axes, fitted(record["law"]))

    return [partial(panel, number) for number in BOUNDS]


def _line(law: Any, rows: Sequence[Record], compute: Compute) -> Any:
    """A law between the least and the most that was spent."""
    import numpy as np

    spent = [row[compute] for row in rows]
    budgets = np.geomspace(min(spent), max(spent), 100)
    return budgets, law(budgets), *law.band(budgets)


def _learning(curves: Sequence[Record]) -> Panels:
    """Sample efficiency: bounds on the validation text against tokens."""
    from ltm_pyro.plots.learning import plot_learning

    return [partial(plot_learning, curves, number=number) for number in BOUNDS]


def _named(group: Sequence[Record], rows: Sequence[Record], but: Sequence[str]) -> list[Record]:
    return [{**one, "name": name_of(one, rows, but)} for one in group]
