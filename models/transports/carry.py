"""Linear map between the widths of two kinds of vectors."""

from __future__ import annotations

from torch import nn


def carry(width: int, target: int) -> nn.Linear | None:
    """A linear map of vectors from one width to another that keeps unit variance at its start; None for equal widths.

    Args:
        width: C, of the vectors.
        target: D, of their images: independent coordinates of unit variance give coordinates of unit variance.
    """
    if width == target:
        return None
    linear = nn.Linear(width, target, bias=False)
    nn.init.normal_(linear.weight, std=width**-0.5)
    return linear
