"""A MAP guide: a point estimate of the thoughts."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.guides.point_guide import AbstractPointGuide


class MAPGuide(AbstractPointGuide):
    r"""Maximum a posteriori estimate, :math:`\hat z = \arg\max_z\, \log p(x \mid z) + \log p(z)`, one point a sequence.

    A point has no density: nothing is bounded, and the weights learn by :math:`\log p(x, \hat z)`. With
    `KLWeighted(w)` the fast loop maximises :math:`\log p(x \mid z) + w \log p(z)`. In many dimensions the most probable
    point is unlike any sample of the posterior; `LaplaceGuide` puts a Gaussian there.

    Args:
        z_shape: (L, K, D).
        start_at: `mean`, the prior's mean (zero if it has none), or `sample`, a sample of the prior for every sequence.

    Raises:
        InputError: for another `start_at`.
    """

    def __init__(self, z_shape: tuple[int, int, int], start_at: Literal["mean", "sample"] = "mean") -> None:
        super().__init__(z_shape)
        if start_at not in ("mean", "sample"):
            raise InputError(f"start_at={start_at!r}: expected 'mean' or 'sample'")
        self.start_at = start_at

    def begin(self, batch: int, prior: Distribution | None, device: torch.device) -> Tensor:
        initial = self.at_the_mean if self.start_at == "mean" else self.from_the_prior
        return initial(batch, prior, device)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, start_at={self.start_at!r}"
