"""Slope of the signal-to-noise ratio of a gradient against S."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

THEORY = {  # (bound, gradient, parameters): slope as S → ∞
    ("ImportanceWeighted", "Reparameterised", "γ"): -0.5,  # Rainforth et al., 2018, arXiv 1802.04537, theorem 1
    ("ImportanceWeighted", "DoublyReparameterised", "γ"): 0.5,  # Tucker et al., 2019, arXiv 1810.04152, section 4
    ("ImportanceWeighted", "Reparameterised", "θ"): 0.5,
    ("ImportanceWeighted", "DoublyReparameterised", "θ"): 0.5,
    **{("ELBO", kind, who): 0.5 for kind in ("Reparameterised", "StickingTheLanding") for who in "γθ"},
}


def slope_records(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Slopes of log SNR by log S, for all estimators with an SNR above its error at two or more values of S."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for record in records:
        if record["part"] == "gradient":
            groups.setdefault((record["parameters"], record["estimator"]), []).append(record)
    slopes = []
    for (parameters, estimator), group in groups.items():
        points = [point for point in group if point["snr"] is not None and point["snr"] > point["snr_error"] > 0]
        if len(points) > 1:
            slope, error = fit_slope(
                *(np.array([point[key] for point in points]) for key in ("particles", "snr", "snr_error"))
            )
            kind = (group[0]["objective"], group[0]["gradient"], parameters)
            slopes.append(
                {
                    "part": "slope",
                    "parameters": parameters,
                    "estimator": estimator,
                    "slope": slope,
                    "slope_error": error,
                    "points": len(points),
                    "theory": THEORY.get(kind),
                }
            )
    return slopes


def fit_slope(particles: np.ndarray, snr: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Slope of log SNR by log S, by weighted least squares, with its standard error.

    The error follows from those of the points, and is enlarged by √(χ² / degrees of freedom) if that exceeds one.
    """
    x, y, sigma = np.log(particles), np.log(snr), error / snr
    weights = 1 / sigma**2
    x = x - (weights * x).sum() / weights.sum()
    spread = (weights * x**2).sum()
    slope = (weights * x * y).sum() / spread
    residual = y - (weights * y).sum() / weights.sum() - slope * x
    freedom = len(x) - 2
    excess = (weights * residual**2).sum() / freedom if freedom else 1.0
    return float(slope), math.sqrt(max(1.0, excess) / spread)
