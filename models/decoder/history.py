"""The cache of a decoder without incremental states: the tokens themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.abstract_cache import AbstractCache


class TokenHistory(AbstractCache):
    """The tokens of N texts, all of which are read again at every step: T passes for T tokens, where one would do.

    Args:
        z: thoughts of the texts, shape (N, L, K, D); None without.
        rows: N.
        room: tokens of a text, at most; those beyond the decoder's length are forgotten again.
        device: of the tokens.
    """

    def __init__(self, z: Tensor | None, rows: int, room: int, device: torch.device | str | None = None) -> None:
        self.z = z
        self._furthest = 0
        self._read = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._tokens = torch.zeros(rows, room, dtype=torch.long, device=device)

    @property
    def position(self) -> int:
        return self._furthest

    @property
    def tokens(self) -> Tensor:
        """Shape (N, position): of each text its own, and beyond them tokens that no earlier position sees."""
        return self._tokens[:, : self._furthest]

    def append(self, tokens: Tensor) -> Tensor:
        """Add tokens, shape (N, T), behind those of each text; returns their positions, shape (N, T).

        Raises:
            InputError: if there is no room for them.
        """
        count, room = tokens.shape[-1], self._tokens.shape[1]
        if self._furthest + count > room:
            raise InputError(f"this decoder writes texts of up to {room} tokens, not {self._furthest + count}")
        positions = self._read + torch.arange(count, device=tokens.device)
        self._tokens.scatter_(1, positions, tokens)
        self._read = self._read + count
        self._furthest += count
        return positions

    def rewind(self, read: Tensor) -> None:
        self._read, self._furthest = read[:, None], int(read.max())
