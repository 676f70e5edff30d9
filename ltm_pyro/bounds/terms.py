"""The terms of an objective on a batch, one value a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """An objective and its parts, one value per sequence, in nats.

    Attributes:
        objective: what inference maximises, shape (B,): a lower bound, minus an upper one, or what bounds nothing.
        log_likelihood: E_q[log p(x | z)], shape (B,).
        kl: KL(q(z) || p(z)), shape (B,).
        kl_per_layer: the same by layer, shape (B, L), which adds up to it; None where it does not split. A layer's
            share is E_q[KL(q(z_l | z_<l) || p(z_l | z_<l))], what its thoughts cost given those of the layers before
            it: where q and p factorise over the layers, the KL of that layer alone. A layer that follows from the ones
            before it costs nats, though it says little of its own: in what order layers are taken matters.
        kl_closed_form: whether the KL is exact; otherwise it is a Monte Carlo estimate.
        effective_sample_size: 1 / Σ w̃², shape (B,), from 1 to S; None where nothing is weighted.
        bound: the bound on (or estimate of) log p(x), shape (B,); None for an objective that is none.
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
        """log_likelihood - kl, shape (B,)."""
        return self.log_likelihood - self.kl

    @classmethod
    def cat(cls, parts: Sequence[Terms]) -> Terms:
        """The terms of several batches, one after another, as those of one."""
        first, tensors = parts[0], [part.tensors() for part in parts]
        columns: dict[str, Any] = {name: torch.cat([part[name] for part in tensors]) for name in tensors[0]}
        return replace(first, **columns, kl_closed_form=all(part.kl_closed_form for part in parts))

    def tensors(self) -> dict[str, Tensor]:
        """Those of the values that there are, by name."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}

    def detach(self) -> Terms:
        """The same values without their history."""
        values: dict[str, Any] = {name: value.detach() for name, value in self.tensors().items()}
        return replace(self, **values)
