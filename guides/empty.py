"""The guide of a model without latent variables."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.guides.abstract import AbstractGuide


class EmptyGuide(AbstractGuide):
    """Empty guide of a model without latent variables, such as `AutoregressiveModel`, whose bound is exact."""

    def __init__(self, z_shape: tuple[int, int, int] = (0, 0, 0)) -> None:
        super().__init__(z_shape)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        """Do nothing: there are no local parameters."""

    def local_parameters(self) -> list[Tensor]:
        return []

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
        r: Tensor | None = None,
        prompts: Tensor | None = None,
    ) -> None:
        """Sample nothing."""
