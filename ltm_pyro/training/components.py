"""The objects of a run: model, guide, fast loop and slow step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import nn

from ltm_pyro.guides import AbstractGuide
from ltm_pyro.inference import DualRateSVI, FastLoop, SlowStep, TableFit
from ltm_pyro.models import AbstractModel


class RunComponents(NamedTuple):
    """The objects of a run: p(x, z), q(z | x), the fast loop over γ and the slow step of θ."""

    model: AbstractModel
    guide: AbstractGuide
    fast: FastLoop
    slow: SlowStep

    def to(self, device: torch.device | str) -> RunComponents:
        """Move model and guide to a device, in place; returns the same objects."""
        self.model.to(device)
        self.guide.to(device)
        return self

    def global_parameters(self) -> Iterator[nn.Parameter]:
        """θ: the weights of model, prior and guide."""
        return chain(self.model.parameters(), self.guide.parameters())

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters of θ by their names in `state_dict`."""
        return dict(self.module().named_parameters())

    def state_dict(self) -> dict[str, Any]:
        """θ by name, under `model.` and `guide.`."""
        return self.module().state_dict()

    def load_state_dict(self, weights: dict[str, Any]) -> None:
        """Restore θ; raises RuntimeError if names or shapes differ."""
        self.module().load_state_dict(weights)

    def for_tables(self, steps: int | None = None) -> RunComponents:
        """The same objects with the fast loop of `TableFit`, of `steps` steps; as many as usually suffice if None."""
        return self._replace(fast=TableFit().loop(self.guide, self.fast, steps))

    def with_fast_steps(self, steps: int | None) -> RunComponents:
        """The objects of `for_tables` with another number of fast steps; unchanged if None."""
        return self if steps is None else self.for_tables(steps)

    def svi(self) -> DualRateSVI:
        """Dual-rate inference with these objects and a new slow optimizer."""
        return DualRateSVI(self.model, self.guide, self.fast, self.slow)

    def module(self) -> nn.ModuleDict:
        """Model and guide as one module, which holds θ."""
        return nn.ModuleDict({"model": self.model, "guide": self.guide})
