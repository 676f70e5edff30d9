"""The processes that share a batch, as a slow step sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from ltm_pyro.bounds import Terms


class ProcessGroup(Protocol):
    """Processes that work on other slices of the same batch."""

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor; all give the same shapes, in the same order."""

    def join(self, terms: Terms) -> Terms:
        """The terms of all processes, one after another, in the order of the batch."""


class DistributedWeights(Protocol):
    """Weights that several processes move together. All processes make every call."""

    def parameters(self) -> list[nn.Parameter]:
        """Those that learn, each once: of shards, the whole weights from the fast loop up to `reduce`."""

    def reduce(self) -> None:
        """Sum the gradients over all processes; where there are shards, each process gets its own."""

    def clip(self, largest: float) -> Tensor:
        """Scale all gradients so that their norm is no larger; returns the norm before."""

    def step(self, optimizer: Optimizer) -> None:
        """Take the optimizer's step on the weights as this process has them."""
