"""The interface of a slow step to the processes that share a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from ltm_pyro.bounds import Terms


class ProcessGroup(Protocol):
    """Group of processes with slices of the same batch."""

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """All-reduce in place: replace each tensor by its sum over processes, with equal shapes in equal order."""

    def join(self, terms: Terms) -> Terms:
        """All-gather: the terms of all processes, concatenated in the order of the batch."""


class ShardedParameters(Protocol):
    """Sharded weights, of which every process updates a part. All calls are collective."""

    whole: list[nn.Parameter]
    own: list[nn.Parameter]

    def reduce(self) -> None:
        """Reduce-scatter: sum the gradients of `whole` over all processes, into the parts `own`."""

    def clip(self, largest: float) -> Tensor:
        """Clip the norm of all gradients to `largest`; returns the norm before."""
