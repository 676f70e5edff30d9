"""Batches of pairs of answers as token ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ltm_pyro.data import Tokenizer
from ltm_pyro.errors import InputError
from ltm_pyro.refining.records import Pair


class PairBatch(NamedTuple):
    """N pairs: the chosen answers behind their prompts, then the rejected ones, padded to one width.

    Attributes:
        x: token ids, shape (2N, T).
        mask: True at the tokens of answers, shape (2N, T).
        previous: the token before each row, shape (2N,).
        prompts: number of tokens of each pair's prompt, shape (N,).
    """

    x: Tensor
    mask: Tensor
    previous: Tensor
    prompts: Tensor

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Arguments with which a model is called on the answers."""
        return {"x": self.x, "mask": self.mask, "previous": self.previous}

    def prompt_inputs(self) -> dict[str, Any]:
        """Arguments with which q is fitted on the prompts: the answers' tokens are overwritten, not merely masked."""
        rows, width = len(self.prompts), int(self.prompts.max())
        within = torch.arange(width, device=self.x.device) < self.prompts[:, None]
        visible = torch.where(within, self.x[:rows, :width], self.previous[:rows, None])
        return {"x": visible, "mask": within, "previous": self.previous[:rows]}

    def to(self, device: torch.device | str) -> PairBatch:
        """The same batch on another device."""
        return PairBatch(*(part.to(device) for part in self))


class EncodedPairs:
    """Pairs as token ids.

    Args:
        pairs: the pairs.
        tokenizer: of the run.
        length: T, at which an answer is cut off.

    Raises:
        InputError: for a token outside the vocabulary.
    """

    def __init__(self, pairs: Sequence[Pair], tokenizer: Tokenizer, length: int) -> None:
        self.tokenizer = tokenizer
        self.prompts = [[int(token) for token in tokenizer.encode(pair["prompt"])] for pair in pairs]
        self.rows = [
            tuple((prompt + answer)[:length] for answer in (pair["chosen_tokens"], pair["rejected_tokens"]))
            for prompt, pair in zip(self.prompts, pairs, strict=True)
        ]
        largest = max((token for rows in self.rows for row in rows for token in row), default=0)
        if largest >= tokenizer.vocabulary:
            raise InputError(
                f"a pair has the token {largest}, and the run's vocabulary ends at {tokenizer.vocabulary - 1}: restore "
                "attempts.jsonl from a copy, or start anew with another --run"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Sequence[int]) -> PairBatch:
        """The pairs of these indices."""
        rows = [self.rows[i][side] for side in (0, 1) for i in indices]
        prompts = torch.tensor([len(self.prompts[i]) for i in indices])
        width = max(map(len, rows))
        x = torch.full((len(rows), width), self.tokenizer.pad)
        for number, ids in enumerate(rows):
            x[number, : len(ids)] = torch.tensor(ids)
        columns, lengths = torch.arange(width), torch.tensor([len(ids) for ids in rows])
        mask = (columns < lengths[:, None]) & (columns >= prompts.repeat(2)[:, None])
        return PairBatch(x, mask, torch.full((len(rows),), self.tokenizer.bos_id), prompts)

    def in_order(self, size: int, limit: int) -> Iterator[PairBatch]:
        """Batches of the pairs once, in order; of `limit` pairs, spread evenly, if there are more."""
        count = min(limit, len(self))
        ids = [number * len(self) // count for number in range(count)]
        return (self.batch(ids[start : start + size]) for start in range(0, count, size))

    def shuffled(self, size: int, *seed: int) -> Iterator[PairBatch]:
        """Endless batches in a new order in each epoch; what is left over at an epoch's end is dropped."""
        size, epoch = min(size, len(self)), 0
        while True:
            order = np.random.default_rng([*seed, epoch]).permutation(len(self)).tolist()
            yield from (self.batch(order[start : start + size]) for start in range(0, len(order) - size + 1, size))
            epoch += 1
