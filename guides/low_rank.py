"""A posterior with a few directions of its own through all of z."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.guides.gaussian import AbstractGaussian, AbstractGaussianGuide, pace
from ltm_pyro.ranges import bounded, whole

INITIAL = 0.4  # of w, hence directions of length 0.1 in units of the prior: at zero they would have no gradient


class LowRankGaussian(AbstractGaussian):
    """Mean (*batch, L, K, D), diagonal's root of that shape, and W, shape (*batch, L K D, r)."""

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
        """The Cholesky factor of I + W' diag(sigma^-2) W, shape (*batch, r, r): all that a density inverts."""
        return self._roots[..., -1, :, :]

    @cached_property
    def _roots(self) -> Tensor:
        """The same of the first layer, of the first two and so on to all of them, shape (*batch, L, r, r)."""
        sigma, w = self.parts
        white = (w / sigma.flatten(-3)[..., None]).unflatten(-2, (self.event_shape[0], -1))  # (*batch, L, K D, r)
        inner = (white.mT @ white).cumsum(-3)
        return torch.linalg.cholesky(torch.eye(w.shape[-1], dtype=w.dtype, device=w.device) + inner)


class LowRankGuide(AbstractGaussianGuide):
    r"""Gaussian that spreads along r directions of all L K D dimensions, :math:`q(z) = \mathcal{N}(\mu, \Sigma)`,

    .. math:: \Sigma = \mathrm{diag}(\sigma^2) + W W^\top, \qquad W = \mathrm{diag}(s)\, w / (4 \sqrt{L K D})

    with s the prior's standard deviations, so that a step on w means the same for every prior and every size. Rows of
    (r + 2) L K D numbers; densities and KL need r x r matrices alone (Woodbury). It starts at the prior, the directions
    nearly zero. It serves where a few directions are less certain than all others; a few that are more certain need
    `FullCovarianceGuide`. (Ong, Nott and Smith, 2018, arXiv
    1701.03208.) Such Gaussians are no exponential family: there is no natural gradient in closed form.

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
            raise InputError(f"rank={rank}: expected one direction or more; without any it is MeanFieldGuide")
        self.size = math.prod(self.z_shape)
        self.rank = min(rank, self.size)

    def begin(self, sigma: Tensor) -> None:
        self.unit = sigma.flatten(1)[..., None] * pace(self.size)  # (B, L K D, 1)
        self.log_sigma = sigma.log().requires_grad_()
        directions = spread_directions(self.size, self.rank).to(sigma)  # one and the same for every batch
        self.w = (INITIAL * directions).repeat(len(sigma), 1, 1).requires_grad_()

    def posterior(self) -> LowRankGaussian:
        return LowRankGaussian(self.mu, self.log_sigma.exp(), self.unit * self.w)

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_sigma, self.w]

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, rank={self.rank}"


def spread_directions(size: int, count: int) -> Tensor:
    """Directions at right angles, every entry about 1: the columns of a cosine transform, shape (size, count)."""
    place, wave = torch.arange(size) + 0.5, torch.arange(count)
    return math.sqrt(2) * torch.cos(math.pi * torch.outer(place, wave + 0.5) / size)
