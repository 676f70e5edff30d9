"""The key-value cache of a window: a ring of slots, and each layer's keys and values in it."""

from __future__ import annotations

import torch
from torch import Tensor

NOWHERE = torch.iinfo(torch.long).max  # the position of an empty slot's token: later than that of all who look


class CacheSlots:
    """Slots of a ring of cached tokens: the position that each text has in every slot; every layer has the same.

    A ring that never grows holds the tokens of the window, and `ahead` more. Every text stands at a position of its
    own, and its last tokens can be forgotten: what stays of them in the ring is later than all who look, and seen by
    nobody, until it is overwritten.

    Args:
        rows: N texts.
        window: how many of the last tokens, the current one included, a token sees.
        ahead: how many tokens beyond the first may be read at once, and be forgotten.
        device: of the keys and values.
    """

    def __init__(self, rows: int, window: int, ahead: int, device: torch.device | str | None = None) -> None:
        self.window, self.ahead, self.size = window, ahead, window + ahead
        self.furthest = 0  # tokens read of the text that has most of them; the only number that the host knows
        self.read = torch.zeros(rows, 1, dtype=torch.long, device=device)  # tokens read of each text
        self.held = torch.full((rows, self.size), NOWHERE, device=device)  # the position of each slot's token
        self.steps = torch.arange(1 + ahead, device=device)
        self.current, self.alone = self.read, True  # of the tokens that were admitted last

    def begin(self, count: int) -> None:
        """Admit the first tokens of every text, any number of them; the last are kept."""
        kept = torch.arange(max(0, count - self.size), count, device=self.held.device)
        self._admit(kept.expand(len(self.held), -1), count, alone=True)

    def go_on(self, count: int) -> tuple[Tensor, Tensor]:
        """Admit up to 1 + `ahead` more tokens of every text.

        Returns:
            Their positions, shape (N, T), and True where they see a slot, shape (N, 1, T, slots).
        """
        if count > len(self.steps):
            raise RuntimeError(f"a cache with {self.ahead} slots ahead takes {1 + self.ahead} tokens, not {count}")
        positions = self.read + self.steps[:count]
        self._admit(positions, count, alone=False)
        held, looking = self.held[:, None, None], positions[:, None, :, None]
        return positions, (held <= looking) & (held > looking - self.window)

    def _admit(self, positions: Tensor, count: int, alone: bool) -> None:
        self.current, self.alone = positions % self.size, alone
        self.held.scatter_(1, self.current, positions)
        self.read = self.read + count
        self.furthest += count


class LayerCache:
    """Keys and values of one layer's last tokens, in a ring.

    Positions are already in the keys (rotary), so the order of the ring's slots does not matter.
    """

    def __init__(self, slots: CacheSlots) -> None:
        self.slots = slots
        self.ring: Tensor | None = None  # (2, N, H, slots, D/H)

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Remember the tokens that were admitted, and return the keys and values that they may see.

        Args:
            k, v: their keys and values, shape (N, H, T, D/H).

        Returns:
            What to attend to: all slots, shape (N, H, slots, D/H), or the first tokens themselves.
        """
        slots = self.slots.current[:, None, :, None].expand(-1, k.shape[1], -1, k.shape[3])
        if self.ring is None:
            self.ring = k.new_zeros(2, *k.shape[:2], self.slots.size, k.shape[3])
        keys, values = self.ring.unbind()
        keys.scatter_(2, slots, k[:, :, -slots.shape[2] :])
        values.scatter_(2, slots, v[:, :, -slots.shape[2] :])
        return (k, v) if self.slots.alone else (keys, values)
