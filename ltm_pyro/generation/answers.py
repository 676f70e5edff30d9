"""Generated answers of a batch, each with its own length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Answers(NamedTuple):
    """Generated answers.

    Attributes:
        tokens: token ids, shape (N, T); the end token after the end of an answer.
        lengths: number of tokens of each answer, its end token included, (N,).
    """

    tokens: Tensor
    lengths: Tensor

    @classmethod
    def collect(cls, written: Iterable[Tensor], eos_id: int | None) -> Answers:
        """The answers of a generator such as `write`.

        Args:
            written: the next token of each text, shape (N,) each; at least one.
            eos_id: the token that ends an answer; None never ends one.
        """
        tokens = torch.stack(list(written), -1)
        if eos_id is None:
            return cls(tokens, torch.full_like(tokens[:, 0], tokens.shape[1]))
        ends = tokens == eos_id
        return cls(tokens, ((ends.cumsum(-1) - ends.long()) == 0).sum(-1))

    def after(self, prompts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Prompts with their answers, shape (N, P + T), the mask of all their tokens, and that of the answers'.

        Args:
            prompts: token ids, shape (N, P).
        """
        answer = torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]
        prompt = torch.ones_like(prompts, dtype=torch.bool)
        x = torch.cat((prompts, self.tokens), -1)
        return x, torch.cat((prompt, answer), -1), torch.cat((~prompt, answer), -1)

    def ids(self, row: int) -> list[int]:
        """Token ids of one answer, its end token included."""
        return self.tokens[row, : int(self.lengths[row])].tolist()
