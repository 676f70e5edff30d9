"""Caches of a pretrained decoder: keys and values of thoughts alone, and those of texts that are being written."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.models.decoder.abstract_cache import AbstractCache
from ltm_pyro.models.decoder.cache import NOWHERE
from ltm_pyro.models.decoder.pretrained.injections import Inserted
from ltm_pyro.optional import import_extra


def prefix_cache(pairs: list[tuple[Tensor, Tensor]]) -> Any:
    """Keys and values before a text, as transformers takes them; reading a text adds nothing to them.

    So a layer can be computed again in the backward pass, and one prefix serves many passes.

    Args:
        pairs: of every layer, (N, H, P, E) each.
    """
    cache, prefix_layer = _classes()
    layers = []
    for keys, values in pairs:
        layer = prefix_layer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        layers.append(layer)
    return cache(layers=layers)


@lru_cache
def _classes() -> tuple[Any, Any]:
    """The cache of transformers, and a layer of it to which reading adds nothing."""
    library = import_extra("transformers", "pretrained", "a pretrained decoder").cache_utils

    class PrefixLayer(library.DynamicLayer):  # type: ignore[name-defined]
        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            return torch.cat((self.keys, key_states), -2), torch.cat((self.values, value_states), -2)

    return library.Cache, PrefixLayer


def growing_cache(pairs: list[tuple[Tensor, Tensor]] | None) -> Any:
    """An empty cache of transformers that grows with the text, behind keys and values of a prefix."""
    cache = import_extra("transformers", "pretrained", "a pretrained decoder").DynamicCache()
    for number, (keys, values) in enumerate(pairs or ()):
        cache.update(keys, values, number)
    return cache


class PretrainedCache(AbstractCache):
    """The state of N texts that a pretrained model writes, each at a position of its own.

    A token that is forgotten leaves its keys and values where they are, hidden from all, until the last ones are cut
    off.

    Attributes:
        inserted: what thoughts insert.
        past: keys and values, a cache of transformers.
        held: the position of each slot's token, shape (N, slots); `NOWHERE` where it was forgotten.

    Args:
        inserted, past: see above.
        rows: N.
        places: positions before the text.
        room: tokens of a text, at most.
        window: how many of the last tokens, the current one included, a token sees; None for all.
        device: of the keys and values.
    """

    def __init__(
        self,
        inserted: Inserted,
        past: Any,
        rows: int,
        places: int,
        room: int,
        window: int | None,
        device: torch.device | str | None = None,
    ) -> None:
        self.inserted, self.past, self.places, self.room, self.window = inserted, past, places, room, window
        self.read = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self.held = torch.empty(rows, 0, dtype=torch.long, device=device)
        self._furthest = 0
        self._ragged = False  # whether some slot is hidden from a text

    @property
    def position(self) -> int:
        return self._furthest

    def admit(self, count: int) -> Tensor:
        """Make room for more tokens of every text; returns their positions in the text, shape (N, T)."""
        positions = self.read + torch.arange(count, device=self.read.device)
        self.held = torch.cat((self.held, positions), 1)
        self.read = self.read + count
        self._furthest += count
        return positions

    def mask(self, positions: Tensor, dtype: torch.dtype) -> Tensor | None:
        """Additive mask of the slots for tokens that were admitted last; None if they see all before them.

        Args:
            positions: of these tokens, shape (N, T).
            dtype: of the hidden states.
        """
        if self.window is None and not self._ragged:
            return None
        return additive_mask(positions, self.held, self.places, self.window, dtype)

    def rewind(self, read: Tensor) -> None:
        self.read, self._furthest = read[:, None], int(read.max())
        forgotten = self.held >= self.read
        self.held = self.held.masked_fill(forgotten, NOWHERE)
        spare = int((~(self.held == NOWHERE).all(0)).flip(0).long().argmax()) if self.held.shape[1] else 0
        if spare:
            self.held = self.held[:, :-spare]
            self.past.crop(-spare)
        self._ragged = bool((self.held == NOWHERE).any())


def additive_mask(positions: Tensor, held: Tensor, places: int, window: int | None, dtype: torch.dtype) -> Tensor:
    """A mask of attention scores: 0 where a token sees a slot, the lowest number where not, shape (N, 1, T, P + slots).

    Args:
        positions: of the tokens that look, shape (N, T).
        held: position of each slot's token, shape (N, slots).
        places: P slots before the text, which all see.
        window: how many of the last tokens, the current one included, a token sees; None for all.
        dtype: of the mask.
    """
    looking, slots = positions[:, None, :, None], held[:, None, None]
    sees = slots <= looking
    if window is not None:
        sees = sees & (slots > looking - window)
    mask = torch.zeros(sees.shape, dtype=dtype, device=held.device).masked_fill_(~sees, torch.finfo(dtype).min)
    return torch.cat((mask.new_zeros(*mask.shape[:3], places), mask), -1) if places else mask
