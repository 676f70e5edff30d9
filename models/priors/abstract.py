"""The base class of priors p(z)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from torch import nn
from torch.distributions import Distribution

from ltm_pyro.instances import checked_shape
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.priors.slow_step_context import SlowStepContext
from ltm_pyro.recorded import Recorded


class AbstractPrior(Recorded, nn.Module, ABC):
    """A module whose forward returns p(z), a distribution over the thoughts of one sequence.

    The parameters of a prior are global ones, part of θ. A prior never samples: the model does.

    Attributes:
        discrete: whether thoughts are one-hot, so that the guide's must be.
        density: the relation of the distribution's `log_prob` to log p(z).
        approximate_sampler: the name of the sampler where it is approximate, for tables to state; empty if it is exact.
        every: the period of the work in `on_slow_step`, in slow steps, for estimates of the time that training takes.

    Args:
        z_shape: (L, K, D), the event shape of the distribution.
    """

    discrete: ClassVar[bool] = False
    approximate_sampler: ClassVar[str] = ""
    every: int = 1

    def __init__(self, z_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.z_shape: tuple[int, int, int] = checked_shape(z_shape)

    @property
    def density(self) -> Density:
        return Density.EXACT

    @property
    def square_norm(self) -> float:
        """E‖z_lk‖² of a thought vector at the start, approximately: D for unit variance, 1 for one-hot vectors."""
        return float(self.z_shape[-1])

    @abstractmethod
    def forward(self) -> Distribution:
        """p(z), with batch shape () and event shape (L, K, D)."""

    @contextmanager
    def on_slow_step(self, context: SlowStepContext) -> Iterator[dict[str, Any]]:
        """Context around each slow step of training, for updates of the prior that are not made by gradients.

        Code before the `yield` runs before the fast loop; code after it runs after the slow step, unless the step
        failed. State that outlives the step belongs in buffers, which go to the checkpoint.

        Args:
            context: the step, with its batch, model, guide and optimizer.

        Yields:
            A dictionary of plain numbers, which may be nested; the metrics log its contents at the end of the step.
        """
        yield {}
