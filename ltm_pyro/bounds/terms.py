"""What an objective says about a batch, term by term."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

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

    def detach(self) -> Terms:
        """The same values without their history."""
        tensors: dict[str, Any] = {
            f.name: v.detach() for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)
        }
        return replace(self, **tensors)
