"""A distribution over thoughts with an unknown normaliser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.priors.distribution import Z_DIMS, ThoughtDistribution


class UnnormalisedDistribution(TorchDistribution):
    """Unnormalised distribution over thoughts, event shape (L, K, D), with samples and without a `log_prob`.

    Args:
        z_shape: (L, K, D).
        log_density: log p(z) plus an unknown constant, from z of shape (..., L, K, D) to shape (...).
        log_density_for_learning: a function of the same value, whose gradient is that of log p(z).
        draw: the sampler, from any shape to as many samples, shape (*shape, L, K, D).
        name: of the prior, for error messages.
        batch_shape: of the distribution.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support = constraints.independent(constraints.real, Z_DIMS)
    has_rsample = False
    density = Density.UNNORMALISED

    def __init__(
        self,
        z_shape: tuple[int, int, int] | torch.Size,
        log_density: Callable[[Tensor], Tensor],
        log_density_for_learning: Callable[[Tensor], Tensor],
        draw: Callable[[torch.Size], Tensor],
        name: str,
        batch_shape: torch.Size | tuple[int, ...] = (),
        validate_args: bool | None = None,
    ) -> None:
        self.log_density, self.log_density_for_learning = log_density, log_density_for_learning
        self.draw, self.name = draw, name
        super().__init__(torch.Size(batch_shape), torch.Size(z_shape), validate_args=validate_args)

    def expand(
        self, batch_shape: torch.Size, _instance: UnnormalisedDistribution | None = None
    ) -> UnnormalisedDistribution:
        """The same distribution with a larger batch shape."""
        functions = (self.log_density, self.log_density_for_learning, self.draw)
        return UnnormalisedDistribution(self.event_shape, *functions, self.name, batch_shape, self._validate_args)

    def log_prob(self, z: Tensor) -> Tensor:
        """Refuse: the normaliser is unknown.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.name} has an unknown normaliser, so that it has no log_prob, and no bound, KL or perplexity. Its "
            "`log_density` is log p(z) up to a constant. To learn, take bound.without_claim(); for numbers, bound its "
            "energy with limit=, or its normaliser by `with prior.normaliser_held():`"
        )

    def for_learning(self) -> ThoughtDistribution:
        """The same distribution with a `log_prob` whose gradient is exact, and whose value is off by a constant."""
        functions = (self.log_density_for_learning, self.draw)
        return ThoughtDistribution(
            self.event_shape, *functions, self.density, has_rsample=False, batch_shape=self.batch_shape
        )

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Samples, shape (*sample_shape, *batch_shape, L, K, D)."""
        return self.draw(torch.Size(sample_shape) + self.batch_shape)
