"""What every prior is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn
from torch.distributions import Distribution

from ltm_pyro.models.priors.density import Density


class AbstractPrior(nn.Module, ABC):
    """A module whose forward returns p(z), a distribution over the thoughts of one sequence.

    Its parameters are global ones, part of θ. It never samples: the model does.

    Attributes:
        discrete: whether thoughts are one-hot, so that the guide's must be.
        density: what the distribution's `log_prob` says about log p(z).

    Args:
        z_shape: (L, K, D), the event shape of the distribution.
    """

    discrete: ClassVar[bool] = False

    def __init__(self, z_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.z_shape: tuple[int, int, int] = (z_shape[0], z_shape[1], z_shape[2])

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
