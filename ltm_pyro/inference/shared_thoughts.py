"""Thoughts of prompts, held for several answers to each."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import Distribution


class SharedThoughts(nn.Module):
    """Guide whose z are fixed draws, the same for both answers to a prompt.

    Row i and row N + i of a batch are two answers to prompt i. Site: `z`, batch (S, 2N), event (L, K, D), in a plate
    of S particles.

    Args:
        z: draws of q(z | prompt), shape (S, N, L, K, D); None for a model without thoughts.
        rows: number of rows of the batch where z is None.
    """

    def __init__(self, z: Tensor | None, rows: int = 0) -> None:
        super().__init__()
        self.z = None if z is None else torch.cat((z, z), -4)  # (S, 2N, L, K, D)
        self.rows = rows if self.z is None else self.z.shape[-4]

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        """Begin a batch: the draws stay."""

    def local_parameters(self) -> list[Tensor]:
        """No parameters: nothing is fitted."""
        return []

    def forward(self, *args: Any, **kwargs: Any) -> Tensor | None:
        if self.z is None:
            return None
        with pyro.plate("sequences", self.rows, dim=-1):
            z: Tensor = pyro.sample("z", dist.Delta(self.z, event_dim=3))
        return z
