"""A model with discrete thoughts, whose evidence is a finite sum."""

from __future__ import annotations

import math
from itertools import product

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn


class FiniteMixture(nn.Module):
    r"""Categorical latents with a linear-Gaussian likelihood: L·K thoughts of D kinds, x | z ~ N(Wz + b, s² I).

    .. math:: p(x) = \sum_z p(z)\, \mathcal{N}(x; Wz + b, s^2 I), \qquad
              p(z) = \prod_{l,k} \mathrm{Categorical}(z_{lk}; \pi_{lk})

    The sum has :math:`D^{LK}` terms. z is one-hot, with event shape (L, K, D); x has event shape (observed,). Weights
    and data are float64, drawn at random by the constructor.

    Args:
        z_shape: (L, K, D).
        observed: dimensions of x.
        noise: s.
        batch: sequences in `x`.
    """

    def __init__(
        self, z_shape: tuple[int, int, int] = (1, 2, 3), observed: int = 3, noise: float = 1.0, batch: int = 4
    ) -> None:
        super().__init__()
        self.z_shape, self.noise = z_shape, noise
        self.prior_logits = nn.Parameter(torch.randn(z_shape, dtype=torch.float64))
        self.weight = nn.Parameter(1.5 * torch.randn(observed, math.prod(z_shape), dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(observed, dtype=torch.float64))
        self.x = 2 * torch.randn(batch, observed, dtype=torch.float64)

    def prior(self) -> dist.Distribution:
        """p(z), event shape (L, K, D)."""
        return dist.OneHotCategorical(logits=self.prior_logits).to_event(2)

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        with pyro.plate("sequences", batch_size or (1 if x is None else len(x)), dim=-1):
            z = pyro.sample("z", self.prior())
            return pyro.sample("x", self.likelihood(z), obs=x)

    def likelihood(self, z: Tensor) -> dist.Distribution:
        """p(x | z), from z of shape (..., L, K, D)."""
        return dist.Normal(z.flatten(-3) @ self.weight.T + self.bias, self.noise).to_event(1)

    def states(self) -> Tensor:
        """All values of z, shape (D^(L K), L, K, D)."""
        layers, thoughts, kinds = self.z_shape
        chosen = torch.tensor(list(product(range(kinds), repeat=layers * thoughts)))
        return nn.functional.one_hot(chosen, kinds).double().view(-1, *self.z_shape)

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, z) of every z, shape (D^(L K), B)."""
        states = self.states()
        return self.prior().log_prob(states)[:, None] + self.likelihood(states[:, None]).log_prob(x)

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p(x), shape (B,), differentiable with respect to the weights."""
        return self.log_joint(x).logsumexp(0)

    def evidence(self, x: Tensor) -> Tensor:
        """log p(x), shape (B,), without history."""
        return self.log_evidence(x).detach()

    def posterior(self, x: Tensor) -> Tensor:
        """p(z | x) of every z, shape (D^(L K), B), without history."""
        return self.log_joint(x).softmax(0).detach()
