"""Sampling of tokens from their probabilities."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(probabilities: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Sample a token of each row by inversion: the first whose cumulative probability exceeds a uniform number.

    A row takes one random number, where `torch.multinomial` takes one for each token of the vocabulary. The sums are in
    float64, so that small probabilities are not rounded away.

    Args:
        probabilities: shape (..., V); each row may add up to any positive number.
        generator: of the random numbers; the global one if None.

    Returns:
        Token ids, shape (...).
    """
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)
    uniform = torch.rand(*cumulative.shape[:-1], 1, dtype=torch.float64, device=cumulative.device, generator=generator)
    return torch.searchsorted(cumulative, uniform * cumulative[..., -1:], right=True).squeeze(-1)
