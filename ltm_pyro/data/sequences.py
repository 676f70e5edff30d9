"""Token sequences in one flat array, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ltm_pyro.data.annotations import Annotations


class Batch(NamedTuple):
    """A batch of token sequences.

    Args:
        x: the tokens, int64 (B, T).
        mask: True where a token is scored, (B, T); None if all are.
        previous: the token before the first, (B,); the end token at the start of a document.
        ids: the index of each sequence in its `Sequences`, (B,).
        byte_counts: number of UTF-8 bytes of each token, (B, T); 0 for an end token, for padding, and for the tokens of
            a prompt that is not scored.
        prompts: number of leading tokens that are each sequence's prompt, (B,); None without prompts.
        labels: index of each sequence's label, -1 without one, (B,); None without labels.
    """

    x: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"] | None
    previous: Int[Tensor, " B"]
    ids: Int[Tensor, " B"]
    byte_counts: Int[Tensor, "B T"]
    prompts: Int[Tensor, " B"] | None = None
    labels: Int[Tensor, " B"] | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device; from pinned memory the copy is asynchronous."""
        moved = (None if part is None else part.to(device, non_blocking=part.is_pinned()) for part in self)
        return Batch(*moved)  # type: ignore[arg-type]

    def pinned(self) -> Batch:
        """The same batch in pinned memory."""
        return Batch(*(None if part is None else part.pin_memory() for part in self))  # type: ignore[arg-type]

    @property
    def inputs(self) -> dict[str, Any]:
        """Arguments with which a model and its guide are called."""
        return {"x": self.x, "mask": self.mask, "previous": self.previous}

    @property
    def tokens(self) -> Int[Tensor, " B"]:
        """Number of scored tokens of each sequence, (B,)."""
        if self.mask is None:
            return torch.full_like(self.ids, self.x.shape[1])
        return self.mask.sum(-1)

    @property
    def bytes(self) -> Int[Tensor, " B"]:
        """Number of UTF-8 bytes of the scored tokens of each sequence, (B,)."""
        return self.byte_counts.sum(-1)


class Lookup(Protocol):
    """A number for each sequence: an array, or an object that computes the numbers on demand."""

    def __getitem__(self, ids: np.ndarray, /) -> np.ndarray: ...


class Sequences:
    """A data set of token sequences, each at most T tokens long; see `windows` and `documents`, which build it.

    The tokens lie back to back in one array of two or four bytes a token: sequence i is
    ``tokens[bounds[i]:bounds[i + 1]]``.

    Args:
        tokens: all tokens, uint16 or uint32; they may lie on disk (`np.memmap`).
        byte_counts: number of UTF-8 bytes of each token.
        bounds: the start of each sequence, and the end of the last one, (N + 1,).
        previous: the token before each sequence, (N,).
        names: of the sequences.
        length: T.
        pad: the id of padding.
        fixed: True if batches are always T wide, False if they are as wide as their longest sequence.
        truncated: number of documents that were cut off at T tokens.
        byte_count: the sum of `byte_counts`, if it is known.
        lost: message about text that the tokens do not hold; empty if they decode to the text.
        annotations: prompts and labels of the sequences.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        byte_counts: np.ndarray,
        bounds: np.ndarray,
        previous: Lookup,
        names: Sequence[str],
        length: int,
        pad: int,
        fixed: bool,
        truncated: int = 0,
        byte_count: int | None = None,
        lost: str = "",
        annotations: Annotations = Annotations(),  # noqa: B008  # immutable
    ) -> None:
        self.tokens, self.byte_counts, self.bounds = tokens, byte_counts, bounds
        self.previous, self.names = previous, names
        self.length, self.pad, self.fixed, self.truncated = length, pad, fixed, truncated
        self._byte_count, self.lost, self.annotations = byte_count, lost, annotations

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def token_count(self) -> int:
        """Total number of scored tokens."""
        context = self.annotations.context
        return len(self.tokens) - (0 if context is None else int(context.sum()))

    @property
    def byte_count(self) -> int:
        """Total number of UTF-8 bytes of the scored tokens."""
        if self._byte_count is None:
            self._byte_count = int(self.byte_counts.sum(dtype=np.int64))
        return self._byte_count - self._context_bytes

    @cached_property
    def _context_bytes(self) -> int:
        context = self.annotations.context
        if context is None:
            return 0
        before = np.concatenate([[0], np.cumsum(self.byte_counts, dtype=np.int64)])
        starts = self.bounds[:-1]
        return int((before[starts + context] - before[starts]).sum())

    def name(self, i: int) -> str:
        """Name of sequence i: its document, and ``+N`` if it starts N tokens into it."""
        return self.names[i]

    def place(self, i: int) -> tuple[str, int]:
        """The document that sequence i starts in, and the number of that document's tokens before it.

        Sequences that are not windows of documents are named, and begin at 0.
        """
        place = getattr(self.names, "place", None)
        return (self.name(i), 0) if place is None else place(i)

    def batch(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The sequences of these indices, padded to T or to the longest of them."""
        ids = np.asarray(indices, dtype=np.int64)
        starts = self.bounds[ids]
        lengths = self.bounds[ids + 1] - starts
        columns = np.arange(self.length if self.fixed else lengths.max())
        within = columns < lengths[:, None]  # (B, T)
        places = np.where(within, starts[:, None] + columns, 0)
        x = np.where(within, self.tokens[places].astype(np.int64), self.pad)  # (B, T)
        own = self.annotations.of(ids)
        scored = within if own.context is None else within & (columns >= own.context[:, None])
        added = {name: torch.from_numpy(column.astype(np.int64)) for name, column in own.columns.items()}
        return Batch(
            x=torch.from_numpy(x),
            mask=None if scored.all() else torch.from_numpy(scored),
            previous=torch.from_numpy(self.previous[ids]),
            ids=torch.from_numpy(ids.copy()),
            byte_counts=torch.from_numpy(np.where(scored, self.byte_counts[places].astype(np.int64), 0)),
            **added,
        )
