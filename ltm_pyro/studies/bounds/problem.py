"""Problem of a comparison of estimators: a model, a guide, sequences, and the state of q."""

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
    """Model and guide on one batch, with q fitted once and kept.

    Attributes:
        model, guide: the guide is reinitialised whenever q is set to another state.
        inputs: arguments of both, including `x`; tensors have a row for each sequence.
        fast: fast loop that fits q.
        scale: divisor of each sequence's nats, shape (B,): its number of tokens, or 1.
        unit: unit of the scaled values.
        evidence: log p(x) of every sequence, shape (B,), if known.
        rows: local parameters of the fitted q.
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
        """Make a problem from a `Batch`, a dictionary of arguments, or x alone.

        Raises:
            InputError: for any other type of batch, or a model without latents.
        """
        inputs, scale, unit = _read(batch)
        exact_evidence: Any = getattr(model, "evidence", None)
        if evidence is None and callable(exact_evidence):
            evidence = exact_evidence(inputs["x"])
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
        """Fit q from its start, with the loop's number of steps if None, and keep its parameters."""
        fast = self.fast if steps is None else self.fast.lasting(steps)
        fast.fit(self.model, self.guide, **self.inputs)
        self.rows = [row.detach().clone() for row in self.guide.local_parameters()]

    def place(self, copies: int = 1) -> dict[str, Any]:
        """Set the guide to the fitted q, every sequence `copies` times in a row; returns the inputs of both."""
        inputs = {name: _repeated(value, copies) for name, value in self.inputs.items()}
        self.fast.lasting(0).fit(self.model, self.guide, **inputs)
        with torch.no_grad():
            for row, fitted in zip(self.guide.local_parameters(), self.rows, strict=True):
                row.copy_(fitted.repeat_interleave(copies, 0))
        return inputs

    @torch.no_grad()
    def draws(self, particles: int, at_once: int | None = None) -> Draws:
        """Fresh samples from the fitted q."""
        return Draws(self.model, self.guide, (), self.place(), particles, at_once)

    def first(self, count: int) -> Problem:
        """Problem with the first `count` sequences, q at its start."""
        inputs = {name: value[:count] if isinstance(value, Tensor) else value for name, value in self.inputs.items()}
        evidence = None if self.evidence is None else self.evidence[:count]
        return replace(self, inputs=inputs, scale=self.scale[:count], evidence=evidence, rows=[])

    def per_unit(self, nats: Tensor) -> Tensor:
        """Σ nats / Σ scale over the sequences, (..., B) -> (...)."""
        return nats.double().sum(-1) / self.scale.sum()

    def weights(self) -> list[Tensor]:
        """Trainable global parameters θ, without duplicates."""
        parameters = chain(self.model.parameters(), self.guide.parameters())
        return list(dict.fromkeys(parameter for parameter in parameters if parameter.requires_grad))

    @property
    def reparameterised(self) -> bool:
        """True if every sample site of q is reparameterised."""
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
