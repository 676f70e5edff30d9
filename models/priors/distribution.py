"""A distribution over thoughts, defined by a log-density and a sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ltm_pyro.models.priors.density import Density

Z_DIMS = 3  # L, K and D


class ThoughtDistribution(TorchDistribution):
    """Distribution over thoughts from a log-density and a sampler, for p(z) outside Pyro; event shape (L, K, D).

    The entries of a batch are independent and identically distributed: `expand` copies nothing. Moments are not
    defined, so that a guide which starts at the prior starts at N(0, I).

    Args:
        z_shape: (L, K, D).
        log_density: the function behind `log_prob`, from z of shape (..., L, K, D) to shape (...).
        draw: the sampler, from any shape to as many independent samples, shape (*shape, L, K, D).
        density: the relation of `log_density` to log p(z).
        has_rsample: whether the samples have a path to the prior's parameters.
        support: of one thought vector, or of one of its numbers.
        batch_shape: of the distribution.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support: Any = constraints.independent(constraints.real, Z_DIMS)
    has_rsample = True

    def __init__(
        self,
        z_shape: tuple[int, int, int] | torch.Size,
        log_density: Callable[[Tensor], Tensor],
        draw: Callable[[torch.Size], Tensor],
        density: Density = Density.EXACT,
        has_rsample: bool = True,
        support: Any = constraints.real,
        batch_shape: torch.Size | tuple[int, ...] = (),
        validate_args: bool | None = None,
    ) -> None:
        self.log_density, self.draw, self.density = log_density, draw, density
        self.has_rsample, self.thought_support = has_rsample, support
        self.support = constraints.independent(support, Z_DIMS - support.event_dim)
        super().__init__(torch.Size(batch_shape), torch.Size(z_shape), validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: ThoughtDistribution | None = None) -> ThoughtDistribution:
        """The same distribution with a larger batch shape."""
        return ThoughtDistribution(
            self.event_shape,
            self.log_density,
            self.draw,
            self.density,
            self.has_rsample,
            self.thought_support,
            batch_shape,
            self._validate_args,
        )

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z), or the bound or estimate of it that `density` names, in nats: (..., L, K, D) -> (...)."""
        if self._validate_args:
            self._validate_sample(z)
        # each sequence has an estimate of its own, even where sequences share z
        z = z.expand(torch.broadcast_shapes(z.shape, self.batch_shape + self.event_shape))
        with torch.autocast(z.device.type, enabled=False):  # in bf16 this would no longer be a density
            return self.log_density(z)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Samples with a path to the prior's parameters, shape (*sample_shape, *batch_shape, L, K, D)."""
        if not self.has_rsample:
            raise NotImplementedError("these samples have no path to the prior's parameters: use sample()")
        return self.draw(torch.Size(sample_shape) + self.batch_shape)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Samples, shape (*sample_shape, *batch_shape, L, K, D)."""
        return self.draw(torch.Size(sample_shape) + self.batch_shape)
