"""Drawing tokens from their probabilities."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(probabilities: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One token of each row by inversion: the first whose cumulative probability is above a uniform number.

    It takes one random number a row, where `torch.multinomial` takes one a token of the vocabulary. The sums are in
    float64, so that no likelihood of a token is lost beside that of all others.

    Args:
        probabilities: shape (..., V); each row may add up to any positive number.
        generator: of the random numbers; the global one if None.

    Returns:
        Token ids, shape (...).
    """
    reached = probabilities.cumsum(-1, dtype=torch.float64)
    uniform = torch.rand(*reached.shape[:-1], 1, dtype=torch.float64, device=reached.device, generator=generator)
    return torch.searchsorted(reached, uniform * reached[..., -1:], right=True).squeeze(-1)
