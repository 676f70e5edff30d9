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

    Its parameters are global ones, part of θ. It never samples: the model does.

    Attributes:
        discrete: whether thoughts are one-hot, so that the guide's must be.
        density: what the distribution's `log_prob` says about log p(z).
        approximate_sampler: what draws from it, where that is approximate, so that tables say so; empty if it is exact.
        every: slow steps after which what `on_slow_step` does comes round again, for who foretells training's time.

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
        """E‖z_lk‖² of one thought vector at the start, about: D for vectors of unit variance, 1 for one-hot ones."""
        return float(self.z_shape[-1])

    @abstractmethod
    def forward(self) -> Distribution:
        """p(z), with batch shape () and event shape (L, K, D)."""

    @contextmanager
    def on_slow_step(self, context: SlowStepContext) -> Iterator[dict[str, Any]]:
        """Training takes each slow step within this; a prior may look on, and do what no gradient does.

        What stands before the `yield` happens before the fast loop, what stands after it after the slow step, unless
        that failed. What outlives the step belongs in buffers, which go to the checkpoint.

        Args:
            context: the step, and what it is made of.

        Yields:
            A dictionary of plain numbers, which may be nested; the metrics log what is in it at the end.
        """
        yield {}
