"""A z-test of estimates against a known mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def z_test(samples: Tensor, expected: Tensor | float, limit: float = 4.0) -> None:
    """Assert that the mean of independent samples, over the first dimension, is the expected value.

    Every entry must be within `limit` standard errors. With seeded noise the result is reproducible.

    Args:
        samples: shape (N, ...).
        expected: the mean, shape (...).
        limit: standard errors.

    Raises:
        AssertionError: if an entry is further away.
    """
    samples = samples.detach()
    expected = expected.detach() if isinstance(expected, Tensor) else torch.tensor(expected)
    error = samples.std(0) / math.sqrt(len(samples))
    z = (samples.mean(0) - expected) / error
    worst = z.abs().max().item()
    assert worst < limit, f"the mean is {worst:.1f} standard errors from where it should be (z = {z.tolist()})"
