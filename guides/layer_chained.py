"""A Gaussian guide that is a Markov chain over layers."""

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
    """Linear-Gaussian chain over layers: mean, conditional sigma (*batch, L, K, D); U, V (*batch, L - 1, K D, r)."""

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
        noise = self.parts[0].square().flatten(-2).unbind(-2)  # L of (*batch, K D)
        variances, previous, before = [noise[0]], None, None  # previous: the covariance of V' z, (*batch, r, r)
        for (above, variance), (out, into) in zip(pairwise(noise), self._steps, strict=True):
            covariance = into.mT @ (above[..., None] * into)
            if previous is not None and before is not None:
                through = into.mT @ before
                covariance = covariance + through @ previous @ through.mT
            variances.append(variance + ((out @ covariance) * out).sum(-1))
            previous, before = covariance, out
        return torch.stack(variances, -2).unflatten(-1, self.event_shape[1:])

    @cached_property
    def log_determinants(self) -> Tensor:
        return 2 * self.by_layer(self.parts[0].log())

    @property
    def _steps(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.parts[1].unbind(-3), self.parts[2].unbind(-3), strict=True))


class LayerChainedGuide(AbstractGaussianGuide):
    r"""Linear-Gaussian Markov chain over layers: each layer's mean is linear in the thoughts of the layer before.

    .. math:: q(z) = \mathcal{N}(z_1; \mu_1, \mathrm{diag}(\sigma_1^2)) \prod_{l=2}^{L}
              \mathcal{N}\big(z_l; \mu_l + U_l V_l^\top (z_{l-1} - \mu_{l-1}), \mathrm{diag}(\sigma_l^2)\big)

    :math:`U_l` and :math:`V_l` are of shape (K D, r): the means of a layer depend on r linear features of the layer
    before. With a diagonal matrix instead, a coordinate could depend only on the same coordinate of the layer before,
    though equal coordinates have nothing in common in a decoder whose layers project their thoughts by matrices of
    their own; a full matrix would have (K D)² numbers for each step of the chain. The factors have 2 r K D, no matrix
    of more than r columns is formed, and r = K D allows every linear step. μ is the mean of z, in all layers.

    Within a layer, thoughts are dependent through the layer before only. The guide starts at the prior, with U = 0. U
    and V are in units of the prior's standard deviations and of :math:`\sqrt{K D}`, so that the same learning rate
    suits every size. (A posterior of the structure of `HierarchicalPrior`; Sønderby et al., 2016, arXiv 1602.02282.)

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
            raise InputError(f"rank={rank}: expected 1 or more; a rank of 0 is MeanFieldGuide")
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
    """Product of U V' with deviations of shape (..., K D)."""
    return (out @ (into.mT @ deviation[..., None])).squeeze(-1)
