"""Confidence intervals of shares, within [0, 1]."""

from __future__ import annotations

import math

Z = 1.959963984540054  # of 95 %


def wilson(share: float, count: float) -> tuple[float, float]:
    r"""Score interval (95 %) of a share of n trials (Wilson, 1927), within [0, 1].

    .. math:: \frac{p + \frac{z^2}{2n} \pm z \sqrt{\frac{p (1 - p)}{n} + \frac{z^2}{4 n^2}}}{1 + \frac{z^2}{n}}

    Args:
        share: p, of the trials.
        count: n, not necessarily an integer.

    Returns:
        Ends of the interval; NaN for n = 0.
    """
    if not count > 0 or math.isnan(share):
        return math.nan, math.nan
    width = 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / width
    half = Z * math.sqrt(max(share * (1 - share), 0.0) / count + Z**2 / (4 * count**2)) / width
    return max(middle - half, 0.0) if share > 0 else 0.0, min(middle + half, 1.0) if share < 1 else 1.0


def share_interval(share: float, error: float, count: int) -> tuple[float, float]:
    """Interval (95 %) of a mean of shares: Wilson's, for the number of trials that has the given standard error.

    Args:
        share: the mean, from 0 to 1.
        error: its standard error; zero or NaN if all shares are equal: then `count` is the number of trials.
        count: number of shares, and the least number of trials, since each share is between 0 and 1.
    """
    inner = share * (1 - share)
    trials = inner / error**2 if error > 0 and inner > 0 else count
    return wilson(share, max(trials, count))
