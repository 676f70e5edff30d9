"""Intervals over samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ltm_pyro.evaluation.shares import share_interval

RESAMPLES = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A number with its 95 % interval over samples; NaN where it is not known."""

    value: float
    low: float = math.nan
    high: float = math.nan


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """A mean, and the percentiles of means of resampled values (Efron, 1979); values that are NaN are left out."""
    known = np.array([value for value in values if not math.isnan(value)])
    return _resampled(lambda rows: known[rows].mean(-1), len(known), seed)


def ratio_interval(above: Sequence[float], below: Sequence[float], seed: int = 0) -> Interval:
    """exp(Σ above / Σ below), both resampled together: a perplexity, from nats and tokens by sample."""
    nats, tokens = np.array(above, float), np.array(below, float)
    return _resampled(lambda rows: np.exp(nats[rows].sum(-1) / tokens[rows].sum(-1)), len(nats), seed)


def mean_share_interval(values: Sequence[float]) -> Interval:
    """A mean of shares, and Wilson's interval of as many trials as have its standard error; NaN values are left out."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return Interval(math.nan)
    error = float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else 0.0
    return Interval(float(known.mean()), *share_interval(float(known.mean()), error, len(known)))


def jackknife_interval(values: Callable[[Sequence[int]], float], count: int) -> Interval:
    """For a number that a sample's second copy would change: its value, ± 1.96 standard errors of leaving one out.

    Args:
        values: the number for the samples of these places.
        count: of samples.
    """
    whole, error = values(range(count)), jackknife_error(values, count)
    return Interval(whole) if math.isnan(error) else Interval(whole, whole - 1.96 * error, whole + 1.96 * error)


def jackknife_share_interval(values: Callable[[Sequence[int]], float], count: int) -> Interval:
    """The same for a share: Wilson's interval of as many trials as have that standard error."""
    whole, error = values(range(count)), jackknife_error(values, count)
    return Interval(whole) if math.isnan(error) else Interval(whole, *share_interval(whole, error, count))


def jackknife_error(values: Callable[[Sequence[int]], float], count: int) -> float:
    """The standard error of leaving one sample out; NaN of fewer than three."""
    if count < 3:
        return math.nan
    without = np.array([values([*range(place), *range(place + 1, count)]) for place in range(count)])
    return math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))


def _resampled(statistic: Callable[[np.ndarray], np.ndarray], count: int, seed: int) -> Interval:
    if not count:
        return Interval(math.nan)
    value = float(statistic(np.arange(count)))
    if count < 2:
        return Interval(value)
    rows = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    low, high = np.quantile(statistic(rows), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
