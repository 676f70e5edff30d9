"""Iterators over batches: endless and shuffled for training, once and in order for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from ltm_pyro.data.prefetcher import Prefetcher
from ltm_pyro.data.sequences import Batch, Sequences
from ltm_pyro.errors import InputError


class Batches:
    """An endless iterator over shuffled batches, which can be resumed at any batch.

    Each epoch has its own order, which depends on seed and epoch alone. Sequences left over at the end of an epoch
    (fewer than a batch) are dropped; a data set smaller than a batch is one batch.

    While a batch is in use the next one is prepared in a thread, in pinned memory if there is a CUDA device. The state
    counts only batches that were returned.

    Args:
        sequences: the data set, N sequences.
        batch_size: B.
        seed: another seed gives another order.

    Attributes:
        epoch: the epoch of the next batch, from 0.
        position: number of batches of that epoch that have been returned.

    Raises:
        InputError: if B is below one, or the seed negative.
    """

    def __init__(self, sequences: Sequences, batch_size: int, seed: int = 0) -> None:
        if seed < 0:
            raise InputError(f"the seed of the batches is {seed}; expected 0 or more")
        self.sequences = sequences
        self.batch_size = _checked(batch_size)
        self.seed = seed
        self.epoch = 0
        self.position = 0
        self._ahead = Prefetcher(_Maker(sequences, self.batch_size, seed))

    @property
    def waited(self) -> float:
        """Total time in seconds spent waiting for batches."""
        return self._ahead.waited

    @property
    def per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return max(len(self.sequences) // self.batch_size, 1)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        batch = self._ahead.get((self.epoch, self.position))
        self.position += 1
        if self.position == self.per_epoch:
            self.epoch, self.position = self.epoch + 1, 0
        self._ahead.begin((self.epoch, self.position))
        return batch

    def state_dict(self) -> dict[str, int]:
        """Epoch and position of the next batch, with the sizes and the seed that identify the iteration."""
        return {"epoch": self.epoch, "position": self.position, **self._identity()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore a state, so that the next batch is the one that followed there.

        Raises:
            InputError: if the state is of other data, or of another batch size or seed.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise InputError(
                    f"the batches cannot be resumed: {name} is {value} here and {state.get(name)} in the checkpoint. "
                    "Use the data, the batch size and the seed that the run was started with"
                )
        if not 0 <= state.get("position", -1) < self.per_epoch or state.get("epoch", -1) < 0:
            raise InputError(
                f"the batches cannot be resumed: the checkpoint holds epoch {state.get('epoch')}, position "
                f"{state.get('position')}; an epoch has {self.per_epoch} batches. The checkpoint may be damaged"
            )
        self.epoch, self.position = int(state["epoch"]), int(state["position"])
        self._ahead.drop()

    def _identity(self) -> dict[str, int]:
        return {
            "sequences": len(self.sequences),
            "tokens": self.sequences.token_count,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }


class _Maker:
    """Maker of the batch at an epoch and a position, with a cache of the last epoch's order."""

    def __init__(self, sequences: Sequences, batch_size: int, seed: int) -> None:
        self.sequences, self.batch_size, self.seed = sequences, batch_size, seed
        self.cuda = torch.cuda.current_device() if torch.cuda.is_available() else None
        self.order = (-1, np.zeros(0, dtype=np.int64))  # an epoch and its order

    def __call__(self, place: tuple[int, int]) -> Batch:
        epoch, position = place
        if epoch != self.order[0]:
            self.order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.sequences))
        start = position * self.batch_size
        batch = self.sequences.batch(self.order[1][start : start + self.batch_size])
        if self.cuda is None:
            return batch
        with torch.cuda.device(self.cuda):  # a new thread would use the first device
            return batch.pinned()


def in_order(sequences: Sequences, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
    """Batches of every sequence once, in order; the last batch may be smaller.

    If the tokens do not hold all of the text (`sequences.lost`), all byte counts are zero, so that no score per byte
    is reported.

    Args:
        sequences: the data set.
        batch_size: B.
        limit: the most sequences; fewer than all are spread evenly over the data, so that they represent it.

    Raises:
        InputError: if B or the limit is below one.
    """
    size = _checked(batch_size)
    if limit is not None and limit < 1:
        raise InputError(f"the limit is {limit} sequences; expected at least 1, or none")
    count = len(sequences) if limit is None else min(limit, len(sequences))
    ids = np.arange(count) * len(sequences) // count
    batches = (sequences.batch(ids[start : start + size]) for start in range(0, count, size))
    if not sequences.lost:
        return batches
    return (batch._replace(byte_counts=torch.zeros_like(batch.byte_counts)) for batch in batches)


def _checked(batch_size: int) -> int:
    if batch_size < 1:
        raise InputError(f"the batch size is {batch_size}; expected at least 1")
    return batch_size
