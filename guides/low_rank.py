"""A Gaussian guide with a low-rank plus diagonal covariance."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.guides.gaussian import AbstractGaussian, AbstractGaussianGuide, pace
from ltm_pyro.ranges import bounded, whole

INITIAL = 0.4  # of w, hence directions of length 0.1 in units of the prior; at zero their gradient would vanish


class LowRankGaussian(AbstractGaussian):
    """Low-rank plus diagonal Gaussian: mean and sigma (*batch, L, K, D), and W, shape (*batch, L K D, r)."""

    def draw(self, shape: torch.Size) -> Tensor:
        sigma, w = self.parts
        along = (w @ self.noise(shape, w.shape[-1], 1)).squeeze(-1)  # (..., L K D)
        return sigma * self.noise(shape, *self.event_shape) + along.unflatten(-1, self.event_shape)

    def squared_distance(self, deviation: Tensor) -> Tensor:
        sigma, w = self.parts
        white = deviation / sigma
        along = (w.mT @ (white / sigma).flatten(-3)[..., None]).squeeze(-1)  # (..., r)
        inner = torch.linalg.solve_triangular(self._root, along[..., None], upper=False)
        return white.square().flatten(-3).sum(-1) - inner.square().flatten(-2).sum(-1)

    @property
    def variance(self) -> Tensor:
        sigma, w = self.parts
        return sigma**2 + w.square().sum(-1).unflatten(-1, self.event_shape)

    @cached_property
    def log_determinants(self) -> Tensor:
        inner = self._roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)  # of all layers down to each, (*batch, L)
        given = torch.cat((inner[..., :1], inner.diff(dim=-1)), -1)
        return 2 * (given + self.by_layer(self.parts[0].log()))

    @property
    def _root(self) -> Tensor:
        """Cholesky factor of I + W' diag(sigma^-2) W, shape (*batch, r, r), the only matrix that a density inverts."""
        return self._roots[..., -1, :, :]

    @cached_property
    def _roots(self) -> Tensor:
        """Cholesky factors as `_root`, for the first l layers, l = 1 … L, shape (*batch, L, r, r)."""
        sigma, w = self.parts
        white = (w / sigma.flatten(-3)[..., None]).unflatten(-2, (self.event_shape[0], -1))  # (*batch, L, K D, r)
        inner = (white.mT @ white).cumsum(-3)
        return torch.linalg.cholesky(torch.eye(w.shape[-1], dtype=w.dtype, device=w.device) + inner)


class LowRankGuide(AbstractGaussianGuide):
    r"""Gaussian with a covariance of rank r plus a diagonal, over all of z: :math:`q(z) = \mathcal{N}(\mu, \Sigma)`,

    .. math:: \Sigma = \mathrm{diag}(\sigma^2) + W W^\top, \qquad W = \mathrm{diag}(s)\, w / (4 \sqrt{L K D})

    with s the prior's standard deviations, so that the same learning rate suits every prior and size. A sequence has
    (r + 2) L K D local parameters; densities and KL invert r x r matrices only (Woodbury). The guide starts at the
    prior, with W close to zero. It suits posteriors with a few directions of larger variance; for a few directions of
    smaller variance take `FullCovarianceGuide`. (Ong, Nott and Smith, 2018, arXiv 1701.03208.) These Gaussians are no
    exponential family: there is no natural gradient in closed form.

    Args:
        z_shape: (L, K, D).
        rank: r; no more than L K D are used.

    Raises:
        InputError: if the rank is not positive.
    """

    log_sigma: Tensor
    w: Tensor

    @bounded(rank=whole(1))
    def __init__(self, z_shape: tuple[int, int, int], rank: int = 8) -> None:
        super().__init__(z_shape)
        if rank < 1:
            raise InputError(f"rank={rank}: expected 1 or more; a rank of 0 is MeanFieldGuide")
        self.size = math.prod(self.z_shape)
        self.rank = min(rank, self.size)

    def begin(self, sigma: Tensor) -> None:
        self.unit = sigma.flatten(1)[..., None] * pace(self.size)  # (B, L K D, 1)
        self.log_sigma = sigma.log().requires_grad_()
        directions = spread_directions(self.size, self.rank).to(sigma)  # the same for every batch
        self.w = (INITIAL * directions).repeat(len(sigma), 1, 1).requires_grad_()

    def posterior(self) -> LowRankGaussian:
        return LowRankGaussian(self.mu, self.log_sigma.exp(), self.unit * self.w)

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_sigma, self.w]

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, rank={self.rank}"


def spread_directions(size: int, count: int) -> Tensor:
    """Orthogonal directions with entries of about 1: columns of a cosine transform, shape (size, count)."""
    position, frequency = torch.arange(size) + 0.5, torch.arange(count) + 0.5
    return math.sqrt(2) * torch.cos(math.pi * torch.outer(position, frequency) / size)
