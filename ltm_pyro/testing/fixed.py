"""A fixed Gaussian guide."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
from torch import Tensor, nn


class FixedGuide(nn.Module):
    """Diagonal Gaussian guide with fixed mu and sigma.

    Args:
        mu, sigma: shape (B, L, K, D).
        z: fixed samples, shape (S, B, L, K, D) or (B, L, K, D); fresh ones if None.
    """

    def __init__(self, mu: Tensor, sigma: Tensor, z: Tensor | None = None) -> None:
        super().__init__()
        self.mu, self.sigma, self.z = mu, sigma, z

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        q = dist.Normal(self.mu, self.sigma) if self.z is None else Drawn(self.mu, self.sigma, self.z)
        with pyro.plate("sequences", self.mu.shape[-4], dim=-1):
            return pyro.sample("z", q.to_event(3))


class Drawn(dist.Normal):
    """Normal distribution with a fixed sample."""

    def __init__(self, mu: Tensor, sigma: Tensor, z: Tensor) -> None:
        super().__init__(mu.expand_as(z), sigma.expand_as(z))
        self.z = z

    def expand(self, batch_shape: Any, _instance: Any = None) -> Drawn:
        return Drawn(self.loc, self.scale, self.z.expand(batch_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.z
