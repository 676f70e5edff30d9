"""The interface of a slow step to the processes that share a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from ltm_pyro.bounds import Terms


class ProcessGroup(Protocol):
    """Group of processes with slices of the same batch."""

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """All-reduce in place: replace each tensor by its sum over processes, with equal shapes in equal order."""

    def join(self, terms: Terms) -> Terms:
        """All-gather: the terms of all processes, concatenated in the order of the batch."""


class DistributedWeights(Protocol):
    """Weights that several processes move together. All processes make every call."""

    def parameters(self) -> list[nn.Parameter]:
        """Those that learn, each once: of shards, the whole weights from the fast loop up to `reduce`."""

    def reduce(self) -> None:
        """Sum the gradients over all processes; where there are shards, each process gets its own."""

    def clip(self, largest: float) -> Tensor:
        """Clip the norm of all gradients to `largest`; returns the norm before."""

    def step(self, optimizer: Optimizer) -> None:
        """Take the optimizer's step on the weights as this process has them."""
