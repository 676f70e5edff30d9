"""Prefix states of a decoder: a pass as far as no thought matters."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class PrefixStates(NamedTuple):
    """All that a pass over a batch computes before its first thoughts, so that it depends on no z.

    Attributes:
        h: token states behind the first block's self-attention, shape (B, T, D).
        queries: queries of the first block's cross-attention, shape (B, H, T, D/H); None without thoughts.
    """

    h: Tensor
    queries: Tensor | None

    def at(self, positions: Tensor) -> PrefixStates:
        """The same of some positions alone, (N,)."""
        return PrefixStates(
            self.h.index_select(-2, positions),
            None if self.queries is None else self.queries.index_select(-2, positions),
        )
