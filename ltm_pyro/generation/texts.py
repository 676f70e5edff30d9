"""Texts of one batch that grow by different numbers of tokens."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class Texts:
    """Token ids of the texts of a batch, to each of which a different number of tokens can be appended.

    Args:
        prompt: token ids that the texts begin with, shape (N, P).
        bos_id: the token id before the prompt.
        tokens: the most tokens after the prompt.
        eos_id: the token that ends a text; None never ends one.
        ahead: the most tokens that are appended at once, less one.

    Attributes:
        length: of each text, `bos_id` and prompt included, (N,).
        over: mask of the texts that have ended or have their full length, (N,).
        room: number of tokens that the shortest text still lacks; 0 when all are over.
    """

    def __init__(self, prompt: Tensor, bos_id: int, tokens: int, eos_id: int | None, ahead: int) -> None:
        self.first = 1 + prompt.shape[1]
        self.most, self.eos_id = self.first + tokens, eos_id
        self.ids = prompt.new_full((len(prompt), self.most + ahead + 1), 0 if eos_id is None else eos_id)
        self.ids[:, 0] = bos_id
        self.ids[:, 1 : self.first] = prompt
        self.length = torch.full((len(prompt),), self.first, device=prompt.device)
        self.over = torch.zeros_like(self.length, dtype=torch.bool)
        self.room, self.given = tokens, self.first

    @property
    def beginning(self) -> Tensor:
        """`bos_id` and the prompt, shape (N, 1 + P)."""
        return self.ids[:, : self.first]

    @property
    def last_two(self) -> Tensor:
        """The last two tokens of each text, shape (N, 2)."""
        return self.ids.gather(1, torch.stack((self.length - 2, self.length - 1), 1))

    def append(self, tokens: Tensor, place: Tensor) -> None:
        """Append tokens to each text that is not over, up to a position, its end token or its full length.

        Args:
            tokens: shape (N, T).
            place: position of the last token to append to each text, from 0 to T - 1, (N,).
        """
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        index = self.length[:, None] + steps
        belongs = (steps <= place[:, None]) & (index < self.most) & ~self.over[:, None]
        if self.eos_id is not None:
            ends = tokens == self.eos_id
            belongs &= ends.cumsum(1) - ends.long() == 0
            self.over = self.over | (ends & belongs).any(1)
        self.ids.scatter_(1, index, torch.where(belongs, tokens, self.ids.gather(1, index)))
        self.length = self.length + belongs.sum(1)
        self.over = self.over | (self.length == self.most)

    def new_columns(self) -> Iterator[Tensor]:
        """Columns of new tokens, (N,) each, up to the shortest open text; synchronises host and device once."""
        lengths, over = torch.stack((self.length, self.over.long())).tolist()
        open_lengths = [length for length, is_over in zip(lengths, over, strict=True) if not is_over]
        self.room = self.most - min(open_lengths) if open_lengths else 0
        start, self.given = self.given, min(open_lengths) if open_lengths else max(lengths)
        yield from self.ids[:, start : self.given].unbind(1)
