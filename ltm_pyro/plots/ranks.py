"""Rank histograms of simulation-based calibration, uniform if the posterior is exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_ranks(counts: ArrayLike, axes: Axes, names: Sequence[str] = ()) -> Axes:
    """Histogram of ranks for each statistic, over the band of 99 % of the bins of a uniform histogram.

    Args:
        counts: simulations by bin of rank, shape (bins,) or (M, bins), as in `Calibration.histograms`.
        axes: the Axes to draw on.
        names: names of the statistics, for a legend.
    """
    rows = np.atleast_2d(np.asarray(counts))
    bins, simulations = rows.shape[1], rows[0].sum()
    low, high = _band(simulations, 1 / bins)
    axes.axhspan(low, high, color="0.88", zorder=0, label="99 % of uniform bins")
    axes.axhline(simulations / bins, color="0.5", linewidth=0.8, zorder=1)
    edges = np.linspace(0, 1, bins + 1)
    for place, row in enumerate(rows):
        axes.stairs(row, edges, linewidth=1.3, label=names[place] if names else None)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.08 * max(high, rows.max()))
    axes.set_xlabel("rank of the true value among the draws, as a fraction")
    axes.set_ylabel("simulations")
    return axes


def _band(simulations: float, chance: float) -> tuple[float, float]:
    """Limits of the middle 99 % of a binomial count."""
    counts = np.arange(int(simulations) + 1)
    logs = np.concatenate(([0.0], np.log(np.arange(1, int(simulations) + 1)).cumsum()))
    log_mass = logs[-1] - logs[counts] - logs[counts[::-1]]
    log_mass = log_mass + counts * np.log(chance) + counts[::-1] * np.log1p(-chance)
    below = np.exp(log_mass).cumsum()
    return float(np.searchsorted(below, 0.005)), float(np.searchsorted(below, 0.995))
