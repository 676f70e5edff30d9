"""A distribution over thoughts that says of what kind its density is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ltm_pyro.models.priors.density import Density

Z_DIMS = 3  # L, K and D


class DrawnDistribution(TorchDistribution):
    """p(z) of a prior whose samples have no path to its parameters; event shape (L, K, D).

    All of its batch are independent and alike: expanding it copies nothing. It states no moments.

    Args:
        z_shape: (L, K, D).
        log_density: what `log_prob` returns, from z of shape (..., L, K, D) to shape (...).
        draw: from any shape to as many independent samples, shape (*shape, L, K, D).
        density: what `log_density` says about log p(z).
        support: of one thought vector.
        batch_shape: of the distribution.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support: Any = constraints.independent(constraints.real, Z_DIMS)
    has_rsample = False

    def __init__(
        self,
        z_shape: tuple[int, int, int] | torch.Size,
        log_density: Callable[[Tensor], Tensor],
        draw: Callable[[torch.Size], Tensor],
        density: Density = Density.EXACT,
        support: Any = constraints.real,
        batch_shape: torch.Size | tuple[int, ...] = (),
        validate_args: bool | None = None,
    ) -> None:
        self.log_density, self.draw, self.density = log_density, draw, density
        self.thought_support = support
        self.support = constraints.independent(support, Z_DIMS - support.event_dim)
        super().__init__(torch.Size(batch_shape), torch.Size(z_shape), validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: DrawnDistribution | None = None) -> DrawnDistribution:
        """The same distribution with a larger batch shape."""
        return DrawnDistribution(
            self.event_shape,
            self.log_density,
            self.draw,
            self.density,
            self.thought_support,
            batch_shape,
            self._validate_args,
        )

    def log_prob(self, z: Tensor) -> Tensor:
        """What `density` says about log p(z), in nats, shape (...) from z of shape (..., L, K, D)."""
        if self._validate_args:
            self._validate_sample(z)
        # each sequence has an estimate of its own, also where they share z
        z = z.expand(torch.broadcast_shapes(z.shape, self.batch_shape + self.event_shape))
        return self.log_density(z)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Samples, shape (*sample_shape, *batch_shape, L, K, D)."""
        return self.draw(torch.Size(sample_shape) + self.batch_shape)
