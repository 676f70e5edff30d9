"""The base class of guides over discrete thoughts."""

from __future__ import annotations

from abc import abstractmethod

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Independent

from ltm_pyro.guides.abstract import AbstractGuide


class AbstractCodeGuide(AbstractGuide):
    r"""Independent categoricals over codes, :math:`q(z) = \prod_{l,k} \mathrm{Categorical}(z_{lk}; \pi_{lk})`.

    The guide starts at the prior, or with equal probabilities if the prior is no independent categorical.

    Args:
        z_shape: (L, K, C) with C codes.
    """

    discrete = True
    logits: Tensor

    @abstractmethod
    def posterior(self) -> dist.Distribution:
        """Posterior q(z), batch (B,), event (L, K, C)."""

    @property
    def probabilities(self) -> Tensor:
        """Posterior probability of every code, shape (B, L, K, C), without history: for `CodeUsage.add`."""
        return self.logits.detach().softmax(-1)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: dist.Distribution | None = None) -> None:
        logits = torch.zeros(self.z_shape, device=x.device)
        base = prior.base_dist if isinstance(prior, Independent) else prior
        if isinstance(base, dist.OneHotCategorical):
            logits = base.logits.detach()
        self.rows = len(x)
        self.logits = logits.expand(len(x), *self.z_shape).clone().requires_grad_()

    def local_parameters(self) -> list[Tensor]:
        return [self.logits]

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}"
