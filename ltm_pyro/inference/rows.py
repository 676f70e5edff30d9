"""Local parameters, a row a sequence."""

from __future__ import annotations

from torch import Tensor


def by_sequence(values: Tensor, row: Tensor) -> Tensor:
    """One value a sequence, shape (B,), as it multiplies or chooses in `row`, shape (B, ...)."""
    return values.view(-1, *[1] * (row.dim() - 1))
