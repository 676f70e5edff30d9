"""The isotropic Gaussian prior of the paper."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.ranges import POSITIVE, bounded


class GaussianPrior(AbstractPrior):
    r"""Isotropic Gaussian prior :math:`p(z) = \mathcal{N}(0, \sigma^2 I)`, fixed; in the paper :math:`\sigma = 1`.

    Args:
        z_shape: (L, K, D).
        sigma: standard deviation of every dimension.

    Raises:
        InputError: if sigma is not positive.

    Example:
        >>> GaussianPrior((2, 4, 8))().event_shape
        torch.Size([2, 4, 8])
    """

    mu: Tensor
    sigma: Tensor

    @bounded(sigma=POSITIVE)
    def __init__(self, z_shape: tuple[int, int, int], sigma: float = 1.0) -> None:
        super().__init__(z_shape)
        if not sigma > 0:
            raise InputError(f"sigma={sigma}: the prior's standard deviation must be positive")
        self.register_buffer("mu", torch.tensor(0.0), persistent=False)
        self.register_buffer("sigma", torch.tensor(float(sigma)), persistent=False)

    def forward(self) -> dist.Distribution:
        return dist.Normal(self.mu, self.sigma).expand(self.z_shape).to_event(3)  # event (L, K, D)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, sigma={self.sigma.item():g}"
