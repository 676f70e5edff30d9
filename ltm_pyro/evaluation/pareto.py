"""Pareto k-hat: the tail index of importance weights, as in Pareto-smoothed importance sampling."""

from __future__ import annotations

import math

import numpy as np

TRUSTED = 0.7  # above it, no affordable number of draws makes the estimate reliable
LEAST_TAIL = 5  # least draws in the tail for a fit


def pareto_k(log_w: np.ndarray) -> np.ndarray:
    r"""k-hat of every sequence: the shape of a generalised Pareto distribution fitted to its largest weights.

    All S draws given are used; the tail is the :math:`\min(S/5,\, 3\sqrt S)` largest of them. The weights have finite
    moments up to order 1 / k. Below 0.5 the importance-weighted estimate obeys the central limit theorem; up to 0.7
    the estimate works in practice; above 0.7 its error and its effective sample size are not to be trusted, however
    good they look, because the weights that matter have not been drawn. (Vehtari et al., 2024, arXiv 1507.02646,
    section 2 and appendix; with fewer than about 1,000 draws k-hat itself is uncertain by 0.1 and more.)

    Args:
        log_w: log-weights, shape (S, B).

    Returns:
        Shape (B,); NaN where the tail holds fewer than five different draws, minus infinity where all weights are
        equal, infinity where fewer than five draws have any weight at all.
    """
    return np.array([_of_one(column) for column in np.asarray(log_w, dtype=np.float64).T])


def fit_generalised_pareto(exceedances: np.ndarray) -> tuple[float, float]:
    """Shape k and scale of exceedances over a threshold (Zhang and Stephens, 2009, with k shrunk slightly to 0.5).

    The estimate is the mean of a profile posterior on a grid: quick, and without the failures of maximum likelihood.

    Args:
        exceedances: positive numbers, shape (N,).
    """
    x = np.sort(np.asarray(exceedances, dtype=np.float64))
    count = len(x)
    points = 30 + int(math.sqrt(count))
    theta = 1 / x[-1] + (1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3 * x[int(count / 4 + 0.5) - 1])
    theta = theta[theta != 0]  # a grid point at 0, which equal exceedances can give, has no scale
    shape = np.log1p(-theta[:, None] * x).mean(1)
    log_posterior = count * (np.log(-theta / shape) - shape - 1)
    with np.errstate(over="ignore"):
        weights = 1 / np.exp(log_posterior - log_posterior[:, None]).sum(1)
    mask = weights >= 10 * np.finfo(float).eps
    mean = (theta[mask] * weights[mask]).sum() / weights[mask].sum()
    k = np.log1p(-mean * x).mean()
    scale = -k / mean
    return float((count * k + 10 * 0.5) / (count + 10)), float(scale)


def _of_one(log_w: np.ndarray) -> float:
    count = len(log_w)
    tail = math.ceil(min(count / 5, 3 * math.sqrt(count)))
    ordered = np.sort(log_w - log_w.max())
    if ordered[-1] - ordered[0] < 1e-9:
        return -math.inf
    if tail < LEAST_TAIL or count <= tail:
        return math.nan
    floor = math.log(np.finfo(float).tiny)
    cutoff = max(ordered[-tail - 1], floor)
    largest = ordered[ordered > cutoff]
    if len(largest) < LEAST_TAIL:  # hardly a draw counts; or else, with discrete thoughts, many draws are the same
        return math.inf if cutoff == floor else math.nan
    with np.errstate(over="ignore", divide="ignore"):
        return fit_generalised_pareto(np.exp(largest) - np.exp(cutoff))[0]
