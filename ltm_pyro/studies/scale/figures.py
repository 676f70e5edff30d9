"""Figures of a scaling study, after the paper's: against T_fast, against compute, against tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltm_pyro.plots.captions import CAPTIONS
from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.drawing import Drawing
from ltm_pyro.plots.saving import save_drawings
from ltm_pyro.studies.records import Record
from ltm_pyro.studies.scale.axes import axes_of, is_numeric
from ltm_pyro.studies.scale.grid import AS_TRAINED
from ltm_pyro.studies.scale.records import BOUNDS, Compute, group_of
from ltm_pyro.studies.scale.table import columns_of, fitted, name_of
from ltm_pyro.studies.variants import folder_of

Panels = list[Callable[[Any], Any]]
PANELS = (
    ("elbo", "nats_per_token"),
    ("importance_weighted", "nats_per_token"),
    ("importance_weighted", "bits_per_byte"),
)
FAST_STEPS = f"Models against the fast steps of training. {CAPTIONS['plot_scaling']}"
AXIS = f"Models against an argument of training. {CAPTIONS['plot_scaling']}"
INFERENCE = (
    "Models against the fast steps of inference: bounds of held-out text as costs, nats/token or bits/byte. "
    f"No error bars: the table has the errors over texts, unpaired. Small dots: seeds. {LOWER}"
)
FLOPS = f"Models against compute, with a law if one can be fitted. {CAPTIONS['plot_scaling']}"
LAW = f"{FLOPS} {CAPTIONS['plot_law']}"
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
    """Write every figure that has data; returns the file names.

    Args:
        rows: summaries of all models at each T_fast of inference.
        runs: records of all finished runs at each T_fast of inference.
        laws: laws, from `records.laws`.
        curves: points of all runs' learning curves.
        compute: measure of compute of the laws.
        folder: folder of the figures, created if missing.
    """
    if not rows:
        return []
    folder.mkdir(exist_ok=True)
    return save_drawings(folder, drawings(rows, runs, laws, curves, compute))


def drawings(
    rows: Sequence[Record], runs: Sequence[Record], laws: Sequence[Record], curves: Sequence[Record], compute: Compute
) -> list[Drawing]:
    """Drawings of every figure that has data; the arguments are those of `draw`."""
    found = []
    for inference in dict.fromkeys(row["inference"] for row in rows):
        means, single = ([row for row in group if row["inference"] == inference] for group in (rows, runs))
        suffix = "" if inference == AS_TRAINED else f"-inference-{inference}"
        if len({row["fast_steps"] for row in means}) > 1:
            panels = _against(means, single, "fast_steps", "T_fast in training")
            found.append(Drawing(f"fast-steps{suffix}", panels, FAST_STEPS, columns=3))
        for axis in axes_of(means[0]):
            labels = [row[axis] for row in means]
            if len(set(labels)) > 1 and is_numeric(labels):
                panels = _against(means, single, axis, columns_of(means[0])[axis])
                found.append(Drawing(f"{_file_name(axis)}{suffix}", panels, AXIS, columns=3))
        for among in dict.fromkeys(map(group_of, means)):
            ours, dots = ([row for row in group if group_of(row) == among] for group in (means, single))
            of = f"-{_file_name(among)}" if among else ""
            own_laws = [law for law in laws if law["among"] == among]
            caption = LAW if any(law["law"] and law["inference"] == inference for law in own_laws) else FLOPS
            found.append(Drawing(f"flops{of}{suffix}", _against_compute(ours, dots, own_laws, compute), caption, 2.4))
    if len({row["inference"] for row in rows}) > 1:
        panels = _against(rows, runs, "inference_steps", "T_fast at inference", errors=False)
        found.append(Drawing("inference", panels, INFERENCE, columns=3))
    if len({point["step"] for point in curves}) > 1:
        found.append(Drawing("learning", _learning(curves), CAPTIONS["plot_learning"]))
    return found


def _file_name(text: str) -> str:
    """Part of a figure's name, without the dots that would begin its suffix."""
    return folder_of(text).replace(".", "_")


def _against(rows: Sequence[Record], runs: Sequence[Record], by: str, label: str, errors: bool = True) -> Panels:
    """Panels of the bounds in both units against a dimension, a line for each combination of the other dimensions."""
    from ltm_pyro.plots.scaling import plot_scaling

    named_rows, dots = (_named(group, rows, [by]) for group in (rows, runs))
    panel = partial(plot_scaling, named_rows, by=by, label=label, runs=dots, errors=errors)
    return [partial(panel, number=n, unit=u) for n, u in PANELS]


def _against_compute(
    rows: Sequence[Record], runs: Sequence[Record], laws: Sequence[Record], compute: Compute
) -> Panels:
    """Panels of both bounds against compute, each with its law."""
    from ltm_pyro.plots.scaling import plot_law, plot_scaling

    named_rows, dots = (_named(group, rows, ["fast_steps", "layers", "width", "window"]) for group in (rows, runs))

    def panel(number: str, axes: Any) -> None:
        plot_scaling(named_rows, axes, compute, LABELS[compute], number, runs=dots, joined=False)
        for record in laws:
            if record["law"] is not None and (record["inference"], record["number"]) == (rows[0]["inference"], number):
                budgets, loss, low, high = _line(record["law"], rows, compute)
                plot_law(budgets, loss, low, high, axes, fitted(record["law"]))

    return [partial(panel, number) for number in BOUNDS]


def _line(law: Any, rows: Sequence[Record], compute: Compute) -> Any:
    """Points of a law between the smallest and the largest compute, with its band."""
    import numpy as np

    spent = [row[compute] for row in rows]
    budgets = np.geomspace(min(spent), max(spent), 100)
    return budgets, law(budgets), *law.band(budgets)


def _learning(curves: Sequence[Record]) -> Panels:
    """Panels of sample efficiency: bounds on the validation text against tokens."""
    from ltm_pyro.plots.learning import plot_learning

    return [partial(plot_learning, curves, number=number) for number in BOUNDS]


def _named(group: Sequence[Record], rows: Sequence[Record], but: Sequence[str]) -> list[Record]:
    return [{**row, "name": name_of(row, rows, but)} for row in group]
