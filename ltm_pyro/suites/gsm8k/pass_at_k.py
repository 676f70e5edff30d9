"""pass@k: the probability that at least one of k attempts is right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ltm_pyro.errors import InputError


def pass_at_k(attempts: int, right: int, k: int) -> float:
    r"""Unbiased estimate of pass@k from n attempts of which c are right.

    .. math:: \text{pass@}k = 1 - \binom{n - c}{k} \Big/ \binom{n}{k}

    (Chen et al., 2021, arXiv 2107.03374.) For n = k the estimate is 1 if any attempt is right, else 0.

    Raises:
        InputError: for k above n, or impossible numbers.
    """
    if not 0 <= right <= attempts:
        raise InputError(f"{right} of {attempts} attempts cannot be right")
    if not 1 <= k <= attempts:
        raise InputError(f"pass@{k}: expected k from 1 to the number of attempts, {attempts}")
    return 1 - math.comb(attempts - right, k) / math.comb(attempts, k)


def mean_pass_at_k(attempts: Sequence[int], right: Sequence[int], k: int) -> tuple[float, float]:
    """Mean of pass@k over problems, with one standard error over problems (NaN for a single problem)."""
    values = np.array([pass_at_k(n, c, k) for n, c in zip(attempts, right, strict=True)])
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
