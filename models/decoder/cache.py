"""What a decoder remembers while it writes: the window's keys and values, and the thoughts' own."""

from __future__ import annotations

import torch
from torch import Tensor


class LayerCache:
    """Keys and values of the last `window` tokens of one layer, in a ring that never grows.

    Positions are already in the keys (rotary), so the order of the ring's slots does not matter.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.seen = 0
        self.ring: Tensor | None = None  # (2, N, H, window, D/H)

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Remember new tokens and return the keys and values that they may see.

        Args:
            k, v: keys and values of the new tokens, shape (N, H, T, D/H). Several at once
                only into an empty cache: then they see each other, under the caller's mask.

        Returns:
            Keys and values to attend to, shape (N, H, up to window, D/H), or all T of a first call.
        """
        new = k.shape[-2]
        if self.seen and new > 1:
            raise RuntimeError("a cache takes many tokens only while it is empty")
        if self.ring is None:
            self.ring = k.new_empty(2, *k.shape[:-2], self.window, k.shape[-1])
        kept = torch.arange(max(0, new - self.window), new, device=k.device)
        slots = (self.seen + kept) % self.window
        self.ring[0].index_copy_(-2, slots, k[..., kept, :])
        self.ring[1].index_copy_(-2, slots, v[..., kept, :])
        self.seen += new
        if new > 1:
            return k, v
        filled = self.ring[..., : min(self.seen, self.window), :]
        return filled[0], filled[1]


class DecoderCache:
    """The state of a text being written: one `LayerCache` a layer, and each layer's thought keys and values."""

    def __init__(self, layers: int, window: int, thoughts: list) -> None:
        self.layers = [LayerCache(window) for _ in range(layers)]
        self.thoughts = thoughts

    @property
    def position(self) -> int:
        """How many tokens have been read."""
        return self.layers[0].seen
