"""Peak speed of the machine, by products of large matrices."""

from __future__ import annotations

import torch


class LargeProduct:
    """Contestant that multiplies two large square matrices.

    Args:
        size: number of rows, so large that memory bandwidth does not matter.
    """

    def __init__(self, size: int = 1536) -> None:
        self.flops = 2 * size**3
        self.factors = torch.randn(2, size, size)
        self.room = torch.empty(size, size)

    def __call__(self) -> None:
        torch.mm(*self.factors, out=self.room)
