"""A Gaussian prior with learned mean and scale."""

from __future__ import annotations

from typing import Literal, get_args

import pyro.distributions as dist
import torch
from torch import nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior

Unit = Literal["z", "layer", "thought", "dimension"]


class LearnedGaussianPrior(AbstractPrior):
    r"""Diagonal Gaussian :math:`p(z) = \mathcal{N}(\mu, \mathrm{diag}(\sigma^2))` with learned mean and scale.

    The prior starts at N(0, I). Its optimum has the mean and the variance of the aggregate posterior (Hoffman and
    Johnson, 2016, ELBO surgery).

    Args:
        z_shape: (L, K, D).
        unit: the part of z with one mean and one scale of its own: all of `z`, every `layer`, every `thought` vector,
            or every `dimension`.

    Raises:
        InputError: for another unit.

    Example:
        >>> prior = LearnedGaussianPrior((2, 4, 8), unit="layer")
        >>> prior().event_shape, sum(p.numel() for p in prior.parameters())
        (torch.Size([2, 4, 8]), 4)
    """

    def __init__(self, z_shape: tuple[int, int, int], unit: Unit = "dimension") -> None:
        super().__init__(z_shape)
        if unit not in get_args(Unit):
            raise InputError(f"unit={unit!r}: expected one of {', '.join(get_args(Unit))}")
        self.unit = unit
        unshared = get_args(Unit).index(unit)  # how many of L, K and D are not shared
        shape = tuple(size if index < unshared else 1 for index, size in enumerate(self.z_shape))
        self.mu = nn.Parameter(torch.zeros(shape))
        self.log_sigma = nn.Parameter(torch.zeros(shape))

    def forward(self) -> dist.Distribution:
        return dist.Normal(self.mu, self.log_sigma.exp()).expand(self.z_shape).to_event(3)  # event (L, K, D)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, unit={self.unit}"
