"""Intervals of shares cover what they claim to, and end where shares do."""

import math

import numpy as np
import pytest

from ltm_pyro.evaluation.shares import share_interval, wilson
from ltm_pyro.suites.generation.bootstrap import jackknife_interval, jackknife_share_interval, mean_share_interval


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(0, 3, 0.0, 0.5615), (3, 3, 0.4385, 1.0), (1, 10, 0.0179, 0.4042), (50, 100, 0.4038, 0.5962)],
)
def test_the_published_values(right, count, low, high):
    assert wilson(right / count, count) == pytest.approx((low, high), abs=5e-5)


def test_it_covers_the_truth_where_one_that_goes_by_standard_errors_does_not():
    count, chance = 20, 0.03
    right = np.random.default_rng(0).binomial(count, chance, 20_000) / count
    ours = np.array([wilson(share, count) for share in np.unique(right)])
    covered = dict(zip(np.unique(right), (ours[:, 0] <= chance) & (chance <= ours[:, 1]), strict=True))
    errors = 1.96 * np.sqrt(right * (1 - right) / count)
    plain = (right - errors <= chance) & (chance <= right + errors)
    assert np.mean([covered[share] for share in right]) > 0.94
    assert plain.mean() < 0.7


@pytest.mark.parametrize("shares", [[0.0] * 3, [1.0] * 4, [0.99, 1.0, 1.0, 0.98], [0.0, 0.01, 0.0], [0.2, 0.6, 0.4]])
def test_no_interval_of_a_share_leaves_its_range_or_is_empty(shares):
    interval = mean_share_interval(shares)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.high - interval.low > 1e-3


def test_a_jackknife_by_standard_errors_goes_beyond_one_and_ours_does_not():
    values = np.array([1.0, 1.0, 0.99, 1.0, 0.97])

    def mean(places):
        return float(values[list(places)].mean())

    assert jackknife_interval(mean, 5).high > 1
    assert jackknife_share_interval(mean, 5).high <= 1


def test_without_trials_nothing_is_known():
    assert all(map(math.isnan, wilson(math.nan, 5)))
    assert all(map(math.isnan, wilson(0.5, 0)))
    assert share_interval(0.5, math.nan, 4) == wilson(0.5, 4)
