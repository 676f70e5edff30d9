"""Gaussian guides with a full covariance, of every thought vector or of z."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.guides.gaussian import Z_DIMS, AbstractGaussian, AbstractGaussianGuide, pace
from ltm_pyro.guides.natural import change_of_precision, root_of_step

Unit = Literal["thought", "z"]
LARGEST = 4096  # dimensions of a full covariance: 64 MiB in float32


class FullGaussian(AbstractGaussian):
    """Gaussian with a Cholesky factor: mean (*batch, *event), factor (*batch, n, n), n = prod(event)."""

    def draw(self, shape: torch.Size) -> Tensor:
        (root,) = self.parts
        return (root @ self.noise(shape, root.shape[-1], 1)).squeeze(-1).unflatten(-1, self.event_shape)

    def squared_distance(self, deviation: Tensor) -> Tensor:
        flat = deviation.flatten(-len(self.event_shape))[..., None]
        return torch.linalg.solve_triangular(self.parts[0], flat, upper=False).square().flatten(-2).sum(-1)

    @property
    def variance(self) -> Tensor:
        return self.parts[0].square().sum(-1).unflatten(-1, self.event_shape)

    @cached_property
    def log_determinants(self) -> Tensor:
        scale = self.parts[0].diagonal(dim1=-2, dim2=-1)  # of each coordinate, given those before it
        return 2 * self.by_layer(scale.log().unflatten(-1, self.event_shape))


class FullCovarianceGuide(AbstractGaussianGuide):
    r"""Gaussian with a full covariance for every thought vector, or for all of z.

    .. math:: q(z) = \prod_{l,k} \mathcal{N}(z_{lk}; \mu_{lk}, C_{lk} C_{lk}^\top), \qquad
              C = \mathrm{diag}(\sigma)\,\big(I + N / (4 \sqrt{n})\big)

    with N strictly lower triangular of size n, scaled so that the same learning rate suits every n. A sequence has
    L K D (D + 2) local parameters; a sample takes L K D² operations, a natural step L K D³. With `unit="z"` there is a
    single covariance over n = L K D dimensions, the most general Gaussian, with n² numbers for every sequence (64 MiB
    at n = 4096): for small z. The guide starts at the prior.

    Args:
        z_shape: (L, K, D).
        unit: the part of z with a covariance of its own, every `thought` vector or all of `z`.

    Raises:
        InputError: for another unit, or a unit of more than 4096 dimensions.
    """

    log_sigma: Tensor
    lower: Tensor

    def __init__(self, z_shape: tuple[int, int, int], unit: Unit = "thought") -> None:
        super().__init__(z_shape)
        if unit not in get_args(Unit):
            raise InputError(f"unit={unit!r}: expected one of {', '.join(get_args(Unit))}")
        self.unit, self.own_dims = unit, 1 if unit == "thought" else Z_DIMS
        self.size = math.prod(self.z_shape[-self.own_dims :])
        if self.size > LARGEST:
            raise InputError(
                f"unit={unit!r} has {self.size} dimensions: a full covariance may have up to {LARGEST}; take "
                "LowRankGuide or MatrixNormalGuide"
            )

    def begin(self, sigma: Tensor) -> None:
        flat = sigma.flatten(-self.own_dims)  # (B, L, K, D) or (B, L K D)
        self.log_sigma = flat.log().requires_grad_()
        self.lower = flat.new_zeros(*flat.shape, self.size).requires_grad_()

    def posterior(self) -> Distribution:
        root = triangular(self.log_sigma, self.lower)
        q = FullGaussian(self.mu, root, event_dims=self.own_dims)
        return q.to_event(Z_DIMS - self.own_dims) if self.own_dims < Z_DIMS else q

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_sigma, self.lower]

    @torch.no_grad()
    def natural_step(self, rate: float) -> None:
        assert self.mu.grad is not None
        root = triangular(self.log_sigma, self.lower)
        root = root_of_step(root, self._slope_of_root(), rate)
        self.log_sigma.copy_(root.diagonal(dim1=-2, dim2=-1).log())
        self.lower.copy_((root / self.log_sigma.exp()[..., None]).tril(-1) / pace(self.size))
        slope = self.mu.grad.flatten(-self.own_dims)[..., None]
        self.mu.sub_(rate * (root @ (root.mT @ slope)).view_as(self.mu))

    @torch.no_grad()
    def natural_norm(self) -> Tensor:
        assert self.mu.grad is not None
        root = triangular(self.log_sigma, self.lower)
        of_mean = root.mT @ self.mu.grad.flatten(-self.own_dims)[..., None]
        of_covariance = change_of_precision(root, self._slope_of_root())
        return of_mean.square().flatten(1).sum(1) + 0.5 * of_covariance.square().flatten(1).sum(1)

    def _slope_of_root(self) -> Tensor:
        """Gradient of the loss with respect to C, from those with respect to log sigma and N."""
        assert self.log_sigma.grad is not None
        assert self.lower.grad is not None
        below = self.lower.grad.tril(-1)
        of_diagonal = self.log_sigma.grad - (self.lower * below).sum(-1)  # log sigma scales a row of C
        return (below / pace(self.size) + of_diagonal.diag_embed()) / self.log_sigma.exp()[..., None]

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, unit={self.unit}"


def triangular(log_sigma: Tensor, lower: Tensor) -> Tensor:
    """Cholesky factor diag(sigma) (I + N / (4 sqrt(n))), shape (..., n, n); `lower` is N below its diagonal."""
    size = log_sigma.shape[-1]
    unit = torch.eye(size, dtype=lower.dtype, device=lower.device) + lower.tril(-1) * pace(size)
    return log_sigma.exp()[..., None] * unit
