"""Learning curves of runs, during training and after it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.errors import InputError
from ltm_pyro.plots.captions import CAPTIONS
from ltm_pyro.plots.drawing import Drawing, Panel
from ltm_pyro.plots.layout import drawn
from ltm_pyro.plots.learning_curves import MEASURED, Against, Curve, plot_kl_by_layer, plot_learning_curves
from ltm_pyro.plots.saving import save_drawing
from ltm_pyro.training.learning_curve import learning_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ltm_pyro.training.run import Run

FIGURES, LEARNING = "figures", "learning"


def draw_learning(run: Run) -> list[Path]:
    """Draw a run's learning curve so far, replacing the earlier figures; returns their paths.

    Raises:
        InputError: if the log cannot be read or the figures cannot be written.
    """
    return draw_curves({"": learning_curve(run.metrics.read())}, run.folder / FIGURES / LEARNING)


def learning_figure(run: Run) -> Figure:
    """The learning curve of a run so far, as a figure.

    Raises:
        InputError: if the log cannot be read, or has no step.
    """
    curve = learning_curve(run.metrics.read())
    if not curve:
        raise InputError(f"{run.folder} has nothing to draw yet: its metrics.jsonl has no training step")
    return drawn(learning_drawing({"": curve}))


def draw_curves(curves: Mapping[str, Curve], stem: Path, against: Against = "tokens") -> list[Path]:
    """Draw bound, log-likelihood and KL against cost; the KL by layer if there is one run, else in total.

    Args:
        curves: by the run's name, which may be empty for a single run.
        stem: the figures' path without its suffix.
        against: the cost on the horizontal axis.

    Raises:
        InputError: if the figures cannot be written.
    """
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        return save_drawing(stem, learning_drawing(curves, against))
    except OSError as error:
        raise InputError(f"{stem}.png cannot be written: {error.strerror or error}. Make it writable") from error


def learning_drawing(curves: Mapping[str, Curve], against: Against = "tokens") -> Drawing:
    """Drawing of bound, log-likelihood and KL; the arguments are those of `draw_curves`."""
    return Drawing(LEARNING, _panels(curves, against), CAPTIONS["plot_learning_curves"], columns=3)


def _panels(curves: Mapping[str, Curve], against: Against) -> list[Panel]:
    named = {name or "run": curve for name, curve in curves.items()}
    first = next(iter(named.values()))
    layered = len(named) == 1 and any("kl_layer_1" in point for point in first)

    def panel(number: str) -> Panel:
        def draw(axes: Axes) -> None:
            if number == "kl" and layered:
                plot_kl_by_layer(first, axes, against)
            else:
                plot_learning_curves(named, axes, number, against)

        return draw

    return [panel(number) for number in MEASURED]
