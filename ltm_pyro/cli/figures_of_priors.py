"""The figures of a comparison of priors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltm_pyro.cli.results_of_priors import NUMBERS, Record


def draw(rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record], folder: Path) -> list[str]:
    """Write every figure that there are numbers for, as PNG and SVG; returns their file names.

    Args:
        rows: a summary of every prior.
        runs: a record of every run.
        curves: points of every run's learning curve.
        folder: made if need be.
    """
    from ltm_pyro.plots import save_figure

    if not rows:
        return []
    rows, runs, curves = _shortened(rows, runs, curves)
    folder.mkdir(exist_ok=True)
    done = [record for record in runs if record["status"] == "done"]
    names = []
    for name, panels, legend in _panels(rows, done, curves):
        width, height = (3.6, 2.9) if legend else _of_rows([row["prior"] for row in rows], len(panels))
        names += [path.name for path in save_figure(folder / name, panels, legend, width, height)]
    return names


def _shortened(*records: Sequence[Record]) -> list[list[Record]]:
    """The same with a prior's name alone, where that tells it from the others, without what else its runs need."""
    names = {record["prior"] for group in records for record in group}
    short = [name.split(" --")[0] for name in names]
    by = {name: name.split(" --")[0] for name in names if short.count(name.split(" --")[0]) == 1}
    return [[{**one, "prior": by.get(one["prior"], one["prior"])} for one in group] for group in records]


def _of_rows(names: Sequence[str], panels: int) -> tuple[float, float]:
    """Width and height of a panel, in inches, with a row for each name and the names at the left of the first."""
    return 2.0 + (0.065 * max(map(len, names)) + 0.2) / panels, 0.22 * len(names) + 1.0


def _panels(
    rows: Sequence[Record], runs: Sequence[Record], curves: Sequence[Record]
) -> list[tuple[str, list[Callable[[Any], object]], bool]]:
    from ltm_pyro.plots.aggregate import plot_aggregate
    from ltm_pyro.plots.four_numbers import plot_number
    from ltm_pyro.plots.layers import plot_layers
    from ltm_pyro.plots.learning import plot_learning

    four = [partial(plot_number, rows, runs, number=n, named=not i) for i, n in enumerate(NUMBERS)]
    found: list[tuple[str, list[Callable[[Any], object]], bool]] = [("four-numbers", list(four), False)]
    apart = [row for row in rows if "elbo_minus_first" in row]
    if apart:
        pairs = [partial(plot_number, apart, runs, number=f"{n}_minus_first", named=not i) for i, n in _paired()]
        found.append(("differences", list(pairs), False))
    layered = [row for row in rows if "kl_layer_1" in row]
    if layered:
        found.append(("kl-per-layer", [partial(plot_layers, layered)], True))
    found.append(("aggregate", [partial(plot_aggregate, rows)], False))
    if len({point["step"] for point in curves}) > 1:
        found.append(("learning", [partial(plot_learning, curves, by=by) for by in ("tokens", "seconds")], True))
    return found


def _paired() -> list[tuple[int, str]]:
    from ltm_pyro.cli.results_of_priors import PAIRED

    return list(enumerate(PAIRED))
