"""Rows of local parameters, one per sequence."""

from __future__ import annotations

from torch import Tensor


def by_sequence(values: Tensor, row: Tensor) -> Tensor:
    """One value per sequence, shape (B,), reshaped to broadcast with `row`, shape (B, ...)."""
    return values.view(-1, *[1] * (row.dim() - 1))
