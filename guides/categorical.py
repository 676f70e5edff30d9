"""Discrete thoughts, each with probabilities of its own."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Independent

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide


class CategoricalGuide(AbstractGuide):
    r"""One-hot thoughts, :math:`q(z) = \prod_{l,k} \mathrm{Categorical}(z_{lk}; \pi_{lk})`, one row a sequence.

    For priors over one-hot vectors: D is the number of kinds. It starts at the prior, or with equal probabilities if
    the prior states none. It cannot be reparameterised: its gradient is `ScoreFunction()`, `VIMCO()` or another that
    needs no path.

    Args:
        z_shape: (L, K, D).
    """

    logits: Tensor

    def start(self, x: Tensor, mask: Tensor | None = None, prior: dist.Distribution | None = None) -> None:
        logits = torch.zeros(self.z_shape, device=x.device)
        base = prior.base_dist if isinstance(prior, Independent) else prior
        if isinstance(base, dist.OneHotCategorical):
            logits = base.logits.detach()
        self.logits = logits.expand(len(x), *self.z_shape).clone().requires_grad_()

    def local_parameters(self) -> list[Tensor]:
        return [self.logits]

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        """As in `AbstractGuide`; an `InputError` if `start` has not seen this batch."""
        if not hasattr(self, "logits") or (x is not None and len(x) != len(self.logits)):
            raise InputError("the guide holds no posteriors of this batch: call guide.start(x), or fit it, first")
        q = dist.OneHotCategorical(logits=self.logits).to_event(2)  # batch (B,), event (L, K, D)
        with pyro.plate("sequences", len(self.logits), dim=-1):
            return pyro.sample("z", q)
