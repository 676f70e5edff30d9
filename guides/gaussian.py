"""The base classes of structured Gaussians over thoughts, and of their guides."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, constraints, register_kl

from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.moments import moments

Z_DIMS = 3  # L, K and D
PACE = 0.25  # step of couplings relative to means and scales, measured at the fast loop's rates; 1 is too noisy


def pace(size: int) -> float:
    """Scale of the couplings between n coordinates, so that the same learning rate suits every n."""
    return PACE / math.sqrt(size)


class AbstractGaussian(TorchDistribution):
    """Gaussian with a structured covariance, given by factors and not formed as a matrix.

    `expand` copies nothing: batch dimensions beyond those of the parameters share them.

    Args:
        loc: the mean, shape (*batch, *event).
        parts: the factors of the covariance, shape (*batch, ...) each.
        event_dims: the number of event dimensions, the last ones of loc.
        batch_shape: (..., *batch).
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        *parts: Tensor,
        event_dims: int = Z_DIMS,
        batch_shape: torch.Size | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.parts = loc, parts
        batch, event = loc.shape[: loc.dim() - event_dims], loc.shape[loc.dim() - event_dims :]
        super().__init__(batch if batch_shape is None else batch_shape, event, validate_args=validate_args)

    @abstractmethod
    def draw(self, shape: torch.Size) -> Tensor:
        """Samples of deviations from the mean, shape (*shape, *event); `shape` includes the batch."""

    @abstractmethod
    def squared_distance(self, deviation: Tensor) -> Tensor:
        """Squared Mahalanobis distance, shape (...), of deviations of shape (..., *event)."""

    @property
    @abstractmethod
    def variance(self) -> Tensor:
        """Marginal variances, shape (*batch, *event)."""

    @cached_property
    @abstractmethod
    def log_determinants(self) -> Tensor:
        """Log-determinants of the covariance of each layer given those before it, shape (*batch, L)."""

    @cached_property
    def log_determinant(self) -> Tensor:
        """Log-determinant of the covariance, shape (*batch,)."""
        return self.log_determinants.sum(-1)

    @property
    def support(self) -> Any:
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.loc

    def expand(self, batch_shape: torch.Size, _instance: AbstractGaussian | None = None) -> AbstractGaussian:
        """The same Gaussian with a larger batch shape."""
        return type(self)(
            self.loc,
            *self.parts,
            event_dims=len(self.event_shape),
            batch_shape=torch.Size(batch_shape),
            validate_args=self._validate_args,
        )

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Reparameterised samples, shape (*sample_shape, *batch_shape, *event)."""
        return self.loc + self.draw(torch.Size(sample_shape) + self.batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, shape (...), from z of shape (..., *event)."""
        if self._validate_args:
            self._validate_sample(value)
        constant = self.event_shape.numel() * math.log(2 * math.pi)
        log_prob = -0.5 * (self.squared_distance(value - self.loc) + self.log_determinant + constant)
        return log_prob.expand(torch.broadcast_shapes(log_prob.shape, self.batch_shape))

    def kl_per_layer(self, prior: Distribution) -> Tensor:
        r"""Exact KL(q || p) by layer, by the chain rule, shape (*batch_shape, L).

        .. math:: \mathrm{KL}(q \,\|\, p) = \sum_l \mathbb{E}_{q(z_{<l})}\,
                  \mathrm{KL}\big(q(z_l \mid z_{<l}) \,\|\, p(z_l)\big)

        The cross-entropy needs the marginal variances alone; the entropies are those of each layer given the ones
        before.

        Raises:
            NotImplementedError: unless the prior is a diagonal Gaussian.
        """
        if not isinstance(prior, Independent) or prior.reinterpreted_batch_ndims != len(self.event_shape):
            raise NotImplementedError
        if not isinstance(prior.base_dist, Normal):
            raise NotImplementedError
        mean, sigma = prior.base_dist.loc, prior.base_dist.scale
        each = (self.variance + (self.loc - mean) ** 2) / sigma**2 - 1 + 2 * sigma.log()
        kl = 0.5 * (self.by_layer(each) - self.log_determinants)
        return kl.expand(torch.broadcast_shapes(kl.shape, (*self.batch_shape, kl.shape[-1])))

    def by_layer(self, each: Tensor) -> Tensor:
        """Sums over all but the first event dimension, the layers: (..., *event) -> (..., L)."""
        layers = each.dim() - len(self.event_shape) + 1
        return each.reshape(*each.shape[:layers], -1).sum(-1)

    def noise(self, shape: torch.Size, *event: int) -> Tensor:
        """Standard normal noise, shape (*shape, *event)."""
        return torch.randn(*shape, *event, dtype=self.loc.dtype, device=self.loc.device)


@register_kl(AbstractGaussian, Independent)
def _kl_to_a_diagonal_gaussian(q: AbstractGaussian, p: Independent) -> Tensor:
    return q.kl_per_layer(p).sum(-1)


class AbstractGaussianGuide(AbstractGuide):
    """Base class of Gaussian guides: a mean `mu` for every sequence, which starts at the prior's.

    Attributes:
        mu: the means, shape (B, L, K, D).
    """

    mu: Tensor

    @abstractmethod
    def begin(self, sigma: Tensor) -> None:
        """Initialise the local parameters other than `mu` from the prior's standard deviations, (B, L, K, D)."""

    @abstractmethod
    def posterior(self) -> Distribution:
        """Posterior q(z), batch (B,), event (L, K, D)."""

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        mu, sigma = moments(prior, x.device)
        self.rows, rows = len(x), (len(x), *self.z_shape)
        self.mu = mu.expand(rows).clone().requires_grad_()
        self.begin(sigma.expand(rows).clone())

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}"
