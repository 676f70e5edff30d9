"""Ranks that should be uniform, and the test of whether they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ltm_pyro.tables import aligned

MOST_BINS, LEAST_BINS = 20, 4
LEAST_COUNT = 5  # expected in a bin; below it chi-square is no good approximation


def bins_for(draws: int, simulations: int) -> int:
    """The most bins of equal width for S + 1 ranks, up to 20, that expect at least 5 simulations each."""
    most = max(1, min(MOST_BINS, simulations // LEAST_COUNT))
    return max(bins for bins in range(1, most + 1) if (draws + 1) % bins == 0)


@dataclass(frozen=True)
class Calibration:
    """Ranks of the truth among draws, and whether they look uniform.

    Attributes:
        names: of the statistics, M of them.
        ranks: from 0 to `draws`, shape (M, N) for N simulations.
        draws: S.
    """

    names: list[str]
    ranks: np.ndarray
    draws: int

    @property
    def bins(self) -> int:
        """Of the histograms, as `bins_for` chooses them."""
        return bins_for(self.draws, self.ranks.shape[1])

    @property
    def histograms(self) -> np.ndarray:
        """Counts, shape (M, bins)."""
        placed = self.ranks * self.bins // (self.draws + 1)
        return np.stack([np.bincount(row, minlength=self.bins) for row in placed])

    @property
    def p_values(self) -> np.ndarray:
        """Of Pearson's chi-square test of uniformity, shape (M,), each by itself."""
        expected = self.ranks.shape[1] / self.bins
        distance = ((self.histograms - expected) ** 2 / expected).sum(1)
        degrees = torch.tensor((self.bins - 1) / 2, dtype=torch.float64)
        return torch.special.gammaincc(degrees, torch.from_numpy(distance) / 2).numpy()

    @property
    def corrected(self) -> np.ndarray:
        """The same after Holm's correction for M tests at once, however they depend on one another, shape (M,)."""
        order = np.argsort(self.p_values)
        stepped = np.maximum.accumulate(self.p_values[order] * np.arange(len(order), 0, -1))
        corrected = np.empty_like(stepped)
        corrected[order] = np.minimum(stepped, 1)
        return corrected

    @property
    def p_value(self) -> float:
        """The least of the corrected ones: below 0.01, say, the guide is not calibrated."""
        return float(self.corrected.min())

    @property
    def spread(self) -> np.ndarray:
        """The variance of the ranks over a uniform one's, shape (M,): above 1 where q is narrow, below 1 where wide."""
        return self.ranks.var(1) / (((self.draws + 1) ** 2 - 1) / 12)

    @property
    def shift(self) -> np.ndarray:
        """The mean of the ranks, from -1 (all the lowest) to 1 (all the highest), shape (M,)."""
        return 2 * self.ranks.mean(1) / self.draws - 1

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain numbers, for JSON."""
        columns = zip(self.names, self.p_values, self.corrected, self.spread, self.shift, self.histograms, strict=True)
        keys = ("statistic", "p_value", "corrected", "spread", "shift", "histogram")
        rows = [
            dict(zip(keys, (name, *map(float, numbers), counts.tolist()), strict=True))
            for name, *numbers, counts in columns
        ]
        return {"simulations": self.ranks.shape[1], "draws": self.draws, "p_value": self.p_value, "statistics": rows}

    def markdown(self) -> str:
        """A table, the least uniform statistic first, with the verdict below it."""
        header = ("statistic", "p (corrected)", "spread of ranks", "shift")
        order = np.argsort(self.p_values)
        columns = (self.corrected, self.spread, self.shift)
        rows = [(self.names[i], *(f"{column[i]:.3g}" for column in columns)) for i in order]
        note = (
            f"{self.ranks.shape[1]:,} simulations, {self.draws} draws each, {self.bins} bins. p below 0.01: not the "
            "posterior. Spread above 1: q is too narrow, below 1: too wide. Shift: ranks lean low (-) or high (+)."
        )
        return "\n".join([*aligned([header, *rows]), "", note])
