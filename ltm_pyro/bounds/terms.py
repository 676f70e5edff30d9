"""What a bound says about a batch, term by term."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """A bound and its parts, one value per sequence, in nats, higher is better.

    Attributes:
        bound: the value of the bound itself, or of an objective that is no bound, shape (B,).
        log_likelihood: E_q[log p(x | z)], shape (B,).
        kl: KL(q(z) || p(z)), shape (B,).
        kl_per_layer: the same by layer, shape (B, L); None where q or p do not split by layer.
        kl_closed_form: whether the KL is exact; otherwise it is a Monte Carlo estimate.
        effective_sample_size: 1 / Σ w̃², shape (B,), from 1 to S; None where nothing is weighted.
    """

    bound: Tensor
    log_likelihood: Tensor
    kl: Tensor
    kl_per_layer: Tensor | None = None
    kl_closed_form: bool = True
    effective_sample_size: Tensor | None = None

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
