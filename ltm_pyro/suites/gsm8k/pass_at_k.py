"""pass@k: the chance that one of k attempts is right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ltm_pyro.errors import InputError


def pass_at_k(attempts: int, right: int, k: int) -> float:
    r"""An unbiased estimate from n attempts of which c are right.

    .. math:: \text{pass@}k = 1 - \binom{n - c}{k} \Big/ \binom{n}{k}

    (Chen et al., 2021, arXiv 2107.03374.) With n = k it is whether any is right.

    Raises:
        InputError: for k above n, or numbers that cannot be.
    """
    if not 0 <= right <= attempts:
        raise InputError(f"{right} of {attempts} attempts cannot be right")
    if not 1 <= k <= attempts:
        raise InputError(f"pass@{k} needs 1 or more, and at most as many attempts as there were: {attempts}")
    return 1 - math.comb(attempts - right, k) / math.comb(attempts, k)


def mean_pass_at_k(attempts: Sequence[int], right: Sequence[int], k: int) -> tuple[float, float]:
    """Its mean over problems, and one standard error over them (NaN of a single one)."""
    each = np.array([pass_at_k(n, c, k) for n, c in zip(attempts, right, strict=True)])
    return float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else math.nan
