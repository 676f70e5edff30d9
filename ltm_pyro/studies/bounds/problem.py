"""The problem that estimators are compared on: a model, a guide, some sequences, and the place where q stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ltm_pyro.bounds import Draws
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.inference import FastLoop


@dataclass
class Problem:
    """A model and a guide on one batch, with q fitted once and held.

    Attributes:
        model, guide: the guide is started afresh whenever another place is needed.
        inputs: arguments of both, `x` among them; a tensor has a row a sequence.
        fast: the loop that fits q.
        scale: what a sequence's nats are divided by, shape (B,): its tokens, or 1.
        unit: of values so divided.
        evidence: log p(x) of every sequence, shape (B,), where it is known.
        rows: q's local parameters where it stands.
    """

    model: nn.Module
    guide: Any
    inputs: dict[str, Any]
    fast: FastLoop
    scale: Tensor
    unit: str
    evidence: Tensor | None = None
    rows: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, model: nn.Module, guide: Any, batch: Any, fast: FastLoop, evidence: Tensor | None = None) -> Problem:
        """A problem from a `Batch`, a dictionary of arguments, or x alone.

        Raises:
            InputError: for another batch, or a model without latents.
        """
        inputs, scale, unit = _read(batch)
        known: Any = getattr(model, "evidence", None)
        if evidence is None and callable(known):
            evidence = known(inputs["x"])
        problem = cls(model, guide, inputs, fast, scale, unit, evidence)
        problem.fit(0)
        if not problem.draws(1).z:
            raise InputError(
                "this model has no thoughts: every bound is its exact log-likelihood, and there is nothing to compare"
            )
        return problem

    def __len__(self) -> int:
        return len(self.inputs["x"])

    def fit(self, steps: int | None = None) -> None:
        """Fit q from its start, with the loop's own steps if None, and keep where it ends."""
        fast = self.fast if steps is None else self.fast.lasting(steps)
        fast.fit(self.model, self.guide, **self.inputs)
        self.rows = [row.detach().clone() for row in self.guide.local_parameters()]

    def place(self, copies: int = 1) -> dict[str, Any]:
        """Set the guide where q stands, every sequence `copies` times in a row; returns the arguments to call with."""
        inputs = {name: _repeated(value, copies) for name, value in self.inputs.items()}
        self.fast.lasting(0).fit(self.model, self.guide, **inputs)
        with torch.no_grad():
            for row, kept in zip(self.guide.local_parameters(), self.rows, strict=True):
                row.copy_(kept.repeat_interleave(copies, 0))
        return inputs

    @torch.no_grad()
    def draws(self, particles: int, at_once: int | None = None) -> Draws:
        """Fresh samples from q where it stands."""
        return Draws(self.model, self.guide, (), self.place(), particles, at_once)

    def first(self, count: int) -> Problem:
        """The same with the first sequences alone, q at its start."""
        inputs = {name: value[:count] if isinstance(value, Tensor) else value for name, value in self.inputs.items()}
        evidence = None if self.evidence is None else self.evidence[:count]
        return replace(self, inputs=inputs, scale=self.scale[:count], evidence=evidence, rows=[])

    def per_unit(self, nats: Tensor) -> Tensor:
        """Σ nats / Σ scale over the sequences, (..., B) -> (...)."""
        return nats.double().sum(-1) / self.scale.sum()

    def weights(self) -> list[Tensor]:
        """θ: every global parameter that learns, each once."""
        every = chain(self.model.parameters(), self.guide.parameters())
        return list(dict.fromkeys(parameter for parameter in every if parameter.requires_grad))

    @property
    def reparameterised(self) -> bool:
        """Whether all that q samples has a path to its parameters."""
        sites = self.draws(1).guide_trace.nodes.values()
        return all(site["fn"].has_rsample for site in sites if site["type"] == "sample")


def _read(batch: Any) -> tuple[dict[str, Any], Tensor, str]:
    if isinstance(batch, Batch):
        return batch.inputs, batch.tokens.double(), "nats/token"
    inputs = {"x": batch} if isinstance(batch, Tensor) else dict(batch) if isinstance(batch, Mapping) else {}
    x, mask = inputs.get("x"), inputs.get("mask")
    if not isinstance(x, Tensor) or not len(x):
        raise InputError(f"a batch of type {type(batch).__name__}: expected a Batch, a dictionary with x, or x itself")
    if x.is_floating_point():
        return inputs, torch.ones(len(x), dtype=torch.float64, device=x.device), "nats/sequence"
    tokens = torch.full((len(x),), x.shape[1], device=x.device) if mask is None else mask.sum(-1)
    return inputs, tokens.double(), "nats/token"


def _repeated(value: Any, copies: int) -> Any:
    return value.repeat_interleave(copies, 0) if isinstance(value, Tensor) else value
