"""Context vectors of a conditional flow: learned for each value, mapped from thoughts of the value's text, or zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

NEGLIGIBLE = 1e-3  # deviation along a principal axis, relative to the first


class ValueCondition(nn.Module):
    """One learned context for each of V values; values without one have no context.

    The contexts start orthogonal as far as C allows, with a second moment of 1 along each axis that they span.

    Args:
        values: V.
        width: C, the width of a context.
    """

    def __init__(self, values: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(values, width)
        nn.init.orthogonal_(self.embedding.weight, values**0.5)

    def forward(self, values: Tensor) -> Tensor:
        """Contexts, shape (..., C), of values by their numbers, int64 (...)."""
        contexts: Tensor = self.embedding(values)
        return contexts


class ThoughtCondition(nn.Module):
    """Contexts of any text: a learned linear map of the posterior mean of its thoughts.

    Args:
        z_shape: (L, K, D).
        width: C, the width of a context.
    """

    mean: Tensor

    def __init__(self, z_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        size = z_shape[0] * z_shape[1] * z_shape[2]
        self.linear = nn.Linear(size, width, bias=False)
        self.register_buffer("mean", torch.zeros(size))

    @torch.no_grad()
    def start_at(self, means: Tensor) -> None:
        """Start at the first C principal axes of posterior means, shape (N, L, K, D), with unit variance along each.

        Axes along which the means do not vary, such as the last ones of few different values, have no weight.
        """
        flat = means.flatten(1)
        self.mean.copy_(flat.mean(0))
        _, singular, axes = torch.linalg.svd(flat - self.mean, full_matrices=False)
        deviations = singular / max(len(flat) - 1, 1) ** 0.5
        count = int((deviations > NEGLIGIBLE * deviations.max()).sum().clamp(max=len(self.linear.weight)))
        self.linear.weight.zero_()
        self.linear.weight[:count] = axes[:count] / deviations[:count, None]

    def forward(self, means: Tensor) -> Tensor:
        """Contexts, shape (..., C), of posterior means, shape (..., L, K, D)."""
        contexts: Tensor = self.linear(means.flatten(-3) - self.mean)
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
