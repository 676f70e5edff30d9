"""Confidence intervals over samples, by bootstrap and jackknife."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ltm_pyro.evaluation.shares import share_interval

RESAMPLES = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """Number with its 95 % interval over samples; unknown values are NaN."""

    value: float
    low: float = math.nan
    high: float = math.nan


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean with its percentile bootstrap interval (Efron, 1979); NaN values are left out."""
    finite = np.array([value for value in values if not math.isnan(value)])
    return _resampled(lambda rows: finite[rows].mean(-1), len(finite), seed)


def ratio_interval(above: Sequence[float], below: Sequence[float], seed: int = 0) -> Interval:
    """exp(Σ above / Σ below), resampled jointly: the perplexity from nats and tokens by sample."""
    nats, tokens = np.array(above, float), np.array(below, float)
    return _resampled(lambda rows: np.exp(nats[rows].sum(-1) / tokens[rows].sum(-1)), len(nats), seed)


def mean_share_interval(values: Sequence[float]) -> Interval:
    """Mean of shares with Wilson's interval for the number of trials of equal error; NaN values are left out."""
    finite = np.array([value for value in values if not math.isnan(value)])
    if not len(finite):
        return Interval(math.nan)
    error = float(finite.std(ddof=1) / math.sqrt(len(finite))) if len(finite) > 1 else 0.0
    return Interval(float(finite.mean()), *share_interval(float(finite.mean()), error, len(finite)))


def jackknife_interval(values: Callable[[Sequence[int]], float], count: int) -> Interval:
    """Number with its jackknife interval, ± 1.96 standard errors, for statistics that duplicates in a bootstrap bias.

    Args:
        values: function from indices of samples to the number.
        count: number of samples.
    """
    value, error = values(range(count)), jackknife_error(values, count)
    return Interval(value) if math.isnan(error) else Interval(value, value - 1.96 * error, value + 1.96 * error)


def jackknife_share_interval(values: Callable[[Sequence[int]], float], count: int) -> Interval:
    """Share with Wilson's interval for the number of trials that has the jackknife's standard error."""
    value, error = values(range(count)), jackknife_error(values, count)
    return Interval(value) if math.isnan(error) else Interval(value, *share_interval(value, error, count))


def jackknife_error(values: Callable[[Sequence[int]], float], count: int) -> float:
    """Jackknife standard error; NaN for fewer than three samples."""
    if count < 3:
        return math.nan
    leave_one_out = np.array([values([*range(place), *range(place + 1, count)]) for place in range(count)])
    return math.sqrt((count - 1) / count * float(((leave_one_out - leave_one_out.mean()) ** 2).sum()))


def _resampled(statistic: Callable[[np.ndarray], np.ndarray], count: int, seed: int) -> Interval:
    if not count:
        return Interval(math.nan)
    value = float(statistic(np.arange(count)))
    if count < 2:
        return Interval(value)
    rows = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    low, high = np.quantile(statistic(rows), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
