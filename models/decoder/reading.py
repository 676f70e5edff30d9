"""What a decoder has read before any thought."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Reading(NamedTuple):
    """All that a pass over a batch computes before its first thoughts, so that it depends on no z.

    Attributes:
        h: token states behind the first block's self-attention, shape (B, T, D).
        asked: what tokens ask of the first block's thoughts, shape (B, H, T, D/H); None without thoughts.
    """

    h: Tensor
    asked: Tensor | None

    def at(self, places: Tensor) -> Reading:
        """The same of some positions alone, (N,)."""
        return Reading(
            self.h.index_select(-2, places), None if self.asked is None else self.asked.index_select(-2, places)
        )
