"""The terms of an objective on a batch, one value per sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """Terms of an objective, one value per sequence, in nats.

    Attributes:
        objective: the value that inference maximises, shape (B,): a lower bound, minus an upper bound, or no bound.
        log_likelihood: E_q[log p(x | z)], shape (B,), with log p(r | z) added where a label is observed.
        kl: KL(q(z) || p(z)), shape (B,).
        kl_per_layer: the KL by layer, shape (B, L), whose sum is `kl`; None where it does not split. The KL of a layer
            is E_q[KL(q(z_l | z_<l) || p(z_l | z_<l))], given the layers before it; where q and p factorise over layers,
            that of the layer alone. It depends on the order of the layers: a layer that is a function of those before
            it under q, but not under p, costs nats though it adds little information.
        kl_closed_form: whether the KL is exact; otherwise it is a Monte Carlo estimate.
        effective_sample_size: 1 / Σ w̃², shape (B,), from 1 to S; None without importance weights.
        bound: the bound on (or estimate of) log p(x), shape (B,); None for an objective that is neither.
    """

    objective: Tensor
    log_likelihood: Tensor
    kl: Tensor
    kl_per_layer: Tensor | None = None
    kl_closed_form: bool = True
    effective_sample_size: Tensor | None = None
    bound: Tensor | None = None

    @property
    def elbo(self) -> Tensor:
        """Evidence lower bound, log_likelihood - kl, shape (B,)."""
        return self.log_likelihood - self.kl

    @classmethod
    def cat(cls, parts: Sequence[Terms]) -> Terms:
        """The terms of several batches, concatenated."""
        first, tensors = parts[0], [part.tensors() for part in parts]
        columns: dict[str, Any] = {name: torch.cat([part[name] for part in tensors]) for name in tensors[0]}
        return replace(first, **columns, kl_closed_form=all(part.kl_closed_form for part in parts))

    def tensors(self) -> dict[str, Tensor]:
        """The values that are not None, by name."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}

    def detach(self) -> Terms:
        """The same values without their history."""
        values: dict[str, Any] = {name: value.detach() for name, value in self.tensors().items()}
        return replace(self, **values)
