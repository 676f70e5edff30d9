"""Ranks of simulation-based calibration, and their test of uniformity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ltm_pyro.tables import aligned

MOST_BINS, LEAST_BINS = 20, 4
LEAST_COUNT = 5  # expected in a bin; below it chi-square is no good approximation


def bins_for(draws: int, simulations: int) -> int:
    """Largest number of bins of equal width for S + 1 ranks, up to 20, with 5 or more expected simulations each."""
    limit = max(1, min(MOST_BINS, simulations // LEAST_COUNT))
    return max(bins for bins in range(1, limit + 1) if (draws + 1) % bins == 0)


@dataclass(frozen=True)
class Calibration:
    """Ranks of the true values among draws, with tests of their uniformity.

    Attributes:
        names: names of the M statistics.
        ranks: from 0 to `draws`, shape (M, N) for N simulations.
        draws: S.
    """

    names: list[str]
    ranks: np.ndarray
    draws: int

    @property
    def bins(self) -> int:
        """Number of bins of the histograms, chosen by `bins_for`."""
        return bins_for(self.draws, self.ranks.shape[1])

    @property
    def histograms(self) -> np.ndarray:
        """Counts of ranks, shape (M, bins)."""
        placed = self.ranks * self.bins // (self.draws + 1)
        return np.stack([np.bincount(row, minlength=self.bins) for row in placed])

    @property
    def p_values(self) -> np.ndarray:
        """Uncorrected p-values of Pearson's chi-square test of uniformity, shape (M,)."""
        expected = self.ranks.shape[1] / self.bins
        distance = ((self.histograms - expected) ** 2 / expected).sum(1)
        degrees = torch.tensor((self.bins - 1) / 2, dtype=torch.float64)
        return torch.special.gammaincc(degrees, torch.from_numpy(distance) / 2).numpy()

    @property
    def corrected(self) -> np.ndarray:
        """p-values after Holm's correction for M tests, valid under any dependence, shape (M,)."""
        order = np.argsort(self.p_values)
        stepped = np.maximum.accumulate(self.p_values[order] * np.arange(len(order), 0, -1))
        corrected = np.empty_like(stepped)
        corrected[order] = np.minimum(stepped, 1)
        return corrected

    @property
    def p_value(self) -> float:
        """Smallest corrected p-value: below 0.01, say, the guide is not calibrated."""
        return float(self.corrected.min())

    @property
    def spread(self) -> np.ndarray:
        """Variance of the ranks over that of uniform ranks, shape (M,): above 1 if q is too narrow, below 1 if wide."""
        return self.ranks.var(1) / (((self.draws + 1) ** 2 - 1) / 12)

    @property
    def shift(self) -> np.ndarray:
        """Mean rank, scaled to -1 (all lowest) to 1 (all highest), shape (M,)."""
        return 2 * self.ranks.mean(1) / self.draws - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        columns = zip(self.names, self.p_values, self.corrected, self.spread, self.shift, self.histograms, strict=True)
        keys = ("statistic", "p_value", "corrected", "spread", "shift", "histogram")
        rows = [
            dict(zip(keys, (name, *map(float, numbers), counts.tolist()), strict=True))
            for name, *numbers, counts in columns
        ]
        return {"simulations": self.ranks.shape[1], "draws": self.draws, "p_value": self.p_value, "statistics": rows}

    def markdown(self) -> str:
        """Table in Markdown, the least uniform statistic first, with a note on its reading."""
        header = ("statistic", "p (corrected)", "spread of ranks", "shift")
        order = np.argsort(self.p_values)
        columns = (self.corrected, self.spread, self.shift)
        rows = [(self.names[i], *(f"{column[i]:.3g}" for column in columns)) for i in order]
        note = (
            f"{self.ranks.shape[1]:,} simulations, {self.draws} draws each, {self.bins} bins. p below 0.01: not the "
            "posterior. Spread above 1: q is too narrow, below 1: too wide. Shift: ranks lean low (-) or high (+)."
        )
        return "\n".join([*aligned([header, *rows]), "", note])
