"""A distribution over thoughts, made of its density and its sampler."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Z_DIMS = 3  # L, K and D


class ThoughtDistribution(TorchDistribution):
    """p(z) of a prior that no ready-made distribution expresses; event shape (L, K, D).

    All of its batch are independent and alike: expanding it copies nothing. It states no moments, so that a guide
    which starts at the prior starts at N(0, I).

    Args:
        z_shape: (L, K, D).
        log_density: log p(z), from z of shape (..., L, K, D) to shape (...).
        draw: from any shape to as many independent samples, shape (*shape, L, K, D), differentiable by the prior's
            parameters.
        batch_shape: of the distribution.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support = constraints.independent(constraints.real, Z_DIMS)
    has_rsample = True

    def __init__(
        self,
        z_shape: tuple[int, int, int],
        log_density: Callable[[Tensor], Tensor],
        draw: Callable[[torch.Size], Tensor],
        batch_shape: torch.Size | tuple[int, ...] = (),
        validate_args: bool | None = None,
    ) -> None:
        self.log_density, self.draw = log_density, draw
        super().__init__(torch.Size(batch_shape), torch.Size(z_shape), validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: ThoughtDistribution | None = None) -> ThoughtDistribution:
        """The same distribution with a larger batch shape."""
        return ThoughtDistribution(self.event_shape, self.log_density, self.draw, batch_shape, self._validate_args)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, shape (...) from z of shape (..., L, K, D)."""
        if self._validate_args:
            self._validate_sample(z)
        with torch.autocast(z.device.type, enabled=False):  # in bf16 it would not be a density any more
            nats = self.log_density(z)
        return nats.expand(torch.broadcast_shapes(nats.shape, self.batch_shape))

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Samples with a path to the prior's parameters, shape (*sample_shape, *batch_shape, L, K, D)."""
        return self.draw(torch.Size(sample_shape) + self.batch_shape)
