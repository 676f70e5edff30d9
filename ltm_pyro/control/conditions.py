"""Context vectors of a conditional flow: learned for each value, mapped from thoughts of the value's text, or zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ValueCondition(nn.Module):
    """One learned context for each of V values; values without one have no context.

    Args:
        values: V.
        width: C, the width of a context.
    """

    def __init__(self, values: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(values, width)

    def forward(self, values: Tensor) -> Tensor:
        """Contexts, shape (..., C), of values by their numbers, int64 (...)."""
        contexts: Tensor = self.embedding(values)
        return contexts


class ThoughtCondition(nn.Module):
    """Contexts of any text: a learned linear map of the posterior mean of its thoughts, standardised.

    Args:
        z_shape: (L, K, D).
        width: C, the width of a context.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, z_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        size = z_shape[0] * z_shape[1] * z_shape[2]
        self.linear = nn.Linear(size, width)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def standardise(self, means: Tensor) -> None:
        """Centre posterior means, shape (N, L, K, D), and divide them by one scale for all dimensions."""
        flat = means.flatten(-3)
        self.mean.copy_(flat.mean(0))
        scale = (flat - self.mean).square().mean().sqrt()
        self.scale.copy_(scale if scale > 0 else torch.ones_like(scale))

    def forward(self, means: Tensor) -> Tensor:
        """Contexts, shape (..., C), of posterior means, shape (..., L, K, D)."""
        contexts: Tensor = self.linear((means.flatten(-3) - self.mean) / self.scale)
        return contexts


class NoCondition(nn.Module):
    """A context of zeros for every text, which makes a conditional flow one without a condition.

    Args:
        width: C, the width of a context.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, values: Tensor) -> Tensor:
        """Zeros, shape (N, C), for N values of any kind."""
        return torch.zeros(len(values), self.width, dtype=torch.get_default_dtype(), device=values.device)
