"""A posterior in which every layer's thoughts follow from those of the layer before."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.guides.gaussian import AbstractGaussian, AbstractGaussianGuide, pace
from ltm_pyro.guides.low_rank import spread_directions
from ltm_pyro.ranges import bounded, whole


class ChainedGaussian(AbstractGaussian):
    """Mean and conditional sigma (*batch, L, K, D), and U and V, shape (*batch, L - 1, K D, r)."""

    def draw(self, shape: torch.Size) -> Tensor:
        fresh = (self.parts[0] * self.noise(shape, *self.event_shape)).flatten(-2).unbind(-2)  # L of (..., K D)
        layers = [fresh[0]]
        for noise, (out, into) in zip(fresh[1:], self._steps, strict=True):
            layers.append(noise + _carry(out, into, layers[-1]))
        return torch.stack(layers, -2).unflatten(-1, self.event_shape[1:])

    def squared_distance(self, deviation: Tensor) -> Tensor:
        _, out, into = self.parts
        layers = deviation.flatten(-2)  # (..., L, K D)
        fresh = torch.cat((layers[..., :1, :], layers[..., 1:, :] - _carry(out, into, layers[..., :-1, :])), -2)
        return (fresh / self.parts[0].flatten(-2)).square().flatten(-2).sum(-1)

    @property
    def variance(self) -> Tensor:
        own = self.parts[0].square().flatten(-2).unbind(-2)  # L of (*batch, K D)
        variances, handed, before = [own[0]], None, None  # handed: the covariance of V' z, (*batch, r, r)
        for (above, variance), (out, into) in zip(pairwise(own), self._steps, strict=True):
            carried = into.mT @ (above[..., None] * into)
            if handed is not None and before is not None:
                through = into.mT @ before
                carried = carried + through @ handed @ through.mT
            variances.append(variance + ((out @ carried) * out).sum(-1))
            handed, before = carried, out
        return torch.stack(variances, -2).unflatten(-1, self.event_shape[1:])

    @cached_property
    def log_determinants(self) -> Tensor:
        return 2 * self.by_layer(self.parts[0].log())

    @property
    def _steps(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.parts[1].unbind(-3), self.parts[2].unbind(-3), strict=True))


class LayerChainedGuide(AbstractGaussianGuide):
    r"""Chain of Gaussians from the first layer's thoughts down to the last one's, linear in the layer before.

    .. math:: q(z) = \mathcal{N}(z_1; \mu_1, \mathrm{diag}(\sigma_1^2)) \prod_{l=2}^{L}
              \mathcal{N}\big(z_l; \mu_l + U_l V_l^\top (z_{l-1} - \mu_{l-1}), \mathrm{diag}(\sigma_l^2)\big)

    :math:`U_l` and :math:`V_l` are of shape (K D, r): r numbers read off a layer move all of the next. Of a diagonal
    matrix in their place each place of a vector could follow only the same place of the layer before, and a decoder
    whose layers read their thoughts through matrices of their own gives equal places nothing in common; a full one
    would have (K D)² numbers for each step of the chain. These have 2 r K D, no matrix of more than r columns is ever
    formed, and with r = K D it is every linear step. μ is the mean of z, in all layers.

    Within a layer, thoughts depend on one another through the layer before alone. It starts at the prior, U = 0. U and
    V are held in units of the prior's standard deviations and of :math:`\sqrt{K D}`, so that a step means the same for
    every size. (A posterior of the structure of `HierarchicalPrior`; Sønderby et al., 2016, arXiv 1602.02282.)

    Args:
        z_shape: (L, K, D).
        rank: r; no more than K D are used.

    Raises:
        InputError: if the rank is not positive.
    """

    log_sigma: Tensor
    out: Tensor
    into: Tensor

    @bounded(rank=whole(1))
    def __init__(self, z_shape: tuple[int, int, int], rank: int = 4) -> None:
        super().__init__(z_shape)
        if rank < 1:
            raise InputError(f"rank={rank}: expected one or more; without any it is MeanFieldGuide")
        self.size = math.prod(self.z_shape[1:])
        self.rank = min(rank, self.size)

    def begin(self, sigma: Tensor) -> None:
        self.prior_sigma = sigma.flatten(2)[..., None]  # (B, L, K D, 1)
        self.log_sigma = sigma.log().requires_grad_()
        directions = spread_directions(self.size, self.rank).to(sigma)
        self.into = directions.repeat(len(sigma), self.z_shape[0] - 1, 1, 1).requires_grad_()
        self.out = torch.zeros_like(self.into).requires_grad_()

    def posterior(self) -> ChainedGaussian:
        out = self.prior_sigma[:, 1:] * self.out * pace(self.size)
        into = self.into / (math.sqrt(self.size) * self.prior_sigma[:, :-1])
        return ChainedGaussian(self.mu, self.log_sigma.exp(), out, into)

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_sigma, *((self.out, self.into) if self.z_shape[0] > 1 else ())]

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, rank={self.rank}"


def _carry(out: Tensor, into: Tensor, deviation: Tensor) -> Tensor:
    """U V' times deviations of shape (..., K D)."""
    return (out @ (into.mT @ deviation[..., None])).squeeze(-1)
