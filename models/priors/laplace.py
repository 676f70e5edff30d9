"""A Laplace prior, under which thoughts are nearly sparse."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.ranges import POSITIVE, bounded


class LaplacePrior(AbstractPrior):
    r"""Independent Laplace prior, :math:`p(z) = \prod_i \frac{1}{2b} e^{-|z_i| / b}`, fixed.

    The variance is :math:`2 b^2`: a scale of 0.7071 gives the variance of N(0, I). KL(q || p) has a closed form for a
    diagonal Gaussian q.

    Args:
        z_shape: (L, K, D).
        scale: b.

    Raises:
        InputError: if scale is not positive.
    """

    mu: Tensor
    scale: Tensor

    @bounded(scale=POSITIVE)
    def __init__(self, z_shape: tuple[int, int, int], scale: float = 1.0) -> None:
        super().__init__(z_shape)
        if not scale > 0:
            raise InputError(f"scale={scale}: the prior's scale must be positive")
        self.register_buffer("mu", torch.tensor(0.0), persistent=False)
        self.register_buffer("scale", torch.tensor(float(scale)), persistent=False)

    def forward(self) -> dist.Distribution:
        return dist.Laplace(self.mu, self.scale).expand(self.z_shape).to_event(3)  # event (L, K, D)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, scale={self.scale.item():g}"
