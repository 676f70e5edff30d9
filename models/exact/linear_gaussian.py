"""A linear-Gaussian model, whose evidence, posterior and ELBO have closed forms."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions.transforms import ReshapeTransform

from ltm_pyro.models.priors import GaussianPrior


class LinearGaussian(nn.Module):
    r"""Linear-Gaussian model with evidence, posterior and ELBO in closed form: z ~ N(0, I), x | z ~ N(Wz + b, s² I).

    Weights and data are float64, drawn at random by the constructor. z has event shape (L, K, D), as every guide
    expects; x has event shape (observed,).

    Args:
        z_shape: (L, K, D).
        observed: dimensions of x.
        noise: s.
        batch: sequences in `x`.

    Example:
        >>> toy = LinearGaussian()
        >>> toy.evidence(toy.x).shape
        torch.Size([4])
    """

    def __init__(
        self, z_shape: tuple[int, int, int] = (2, 1, 2), observed: int = 3, noise: float = 0.7, batch: int = 4
    ) -> None:
        super().__init__()
        self.z_shape, self.noise, self.size = z_shape, noise, math.prod(z_shape)
        self.prior = GaussianPrior(z_shape).double()
        self.weight = nn.Parameter(torch.randn(observed, self.size, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(observed, dtype=torch.float64))
        self.x = 2 * torch.randn(batch, observed, dtype=torch.float64)

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        with pyro.plate("sequences", batch_size or (1 if x is None else len(x)), dim=-1):
            z = pyro.sample("z", self.prior())
            mean = z.flatten(-3) @ self.weight.T + self.bias
            return pyro.sample("x", dist.Normal(mean, self.noise).to_event(1), obs=x)

    def precision(self) -> Tensor:
        """Precision matrix Λ of p(z | x), shape (L K D, L K D)."""
        return torch.eye(self.size, dtype=torch.float64) + self.weight.T @ self.weight / self.noise**2

    def posterior_mean(self, x: Tensor) -> Tensor:
        """Mean of p(z | x), shape (B, L K D)."""
        return torch.linalg.solve(self.precision(), (self.weight.T @ (x - self.bias).T) / self.noise**2).T

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p(x), shape (B,), differentiable with respect to the weights."""
        noise = self.noise**2 * torch.eye(len(self.bias), dtype=torch.float64)
        return dist.MultivariateNormal(self.bias, self.weight @ self.weight.T + noise).log_prob(x)

    def evidence(self, x: Tensor) -> Tensor:
        """log p(x), shape (B,), without history."""
        return self.log_evidence(x).detach()

    def elbo(self, x: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
        """The ELBO of a diagonal Gaussian q, shape (B,), from mu and sigma of shape (B, L, K, D)."""
        return self.expected_log_likelihood(x, mu, sigma) - self.kl(mu, sigma)

    def expected_log_likelihood(self, x: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
        """E_q[log p(x | z)] of a diagonal Gaussian q, shape (B,)."""
        mean = mu.flatten(1) @ self.weight.T + self.bias
        spread = (sigma.flatten(1) ** 2) @ (self.weight**2).sum(0) / (2 * self.noise**2)
        return dist.Normal(mean, self.noise).log_prob(x).sum(-1) - spread

    def kl(self, mu: Tensor, sigma: Tensor) -> Tensor:
        """KL(q || p(z)) of a diagonal Gaussian q, shape (B,)."""
        return 0.5 * (mu**2 + sigma**2 - 1 - 2 * sigma.log()).flatten(1).sum(-1)

    def best_mean_field(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and sigma of the diagonal Gaussian with the highest ELBO, shape (B, L, K, D) each."""
        mu = self.posterior_mean(x).view(-1, *self.z_shape).detach()
        sigma = self.precision().diag().rsqrt().view(1, *self.z_shape).detach()
        return mu, sigma.expand_as(mu)

    def exact_guide(self) -> ExactPosterior:
        """The posterior as a guide, at which every bound equals log p(x)."""
        return ExactPosterior(self)


class ExactPosterior(nn.Module):
    """The exact posterior of a `LinearGaussian` as a guide, without parameters."""

    def __init__(self, toy: LinearGaussian) -> None:
        super().__init__()
        self.toy = [toy]  # a list, so that its weights are not the guide's

    def start(self, x: Tensor, mask: Tensor | None = None, prior: dist.Distribution | None = None) -> None:
        """Do nothing: the posterior is known."""

    def local_parameters(self) -> list[Tensor]:
        """Local parameters: none."""
        return []

    def forward(
        self, x: Tensor, mask: Tensor | None = None, batch_size: int | None = None, previous: Tensor | None = None
    ) -> Tensor:
        (toy,) = self.toy
        flat = dist.MultivariateNormal(toy.posterior_mean(x), precision_matrix=toy.precision())
        with pyro.plate("sequences", len(x), dim=-1):
            reshape = ReshapeTransform(torch.Size((toy.size,)), torch.Size(toy.z_shape))
            return pyro.sample("z", dist.TransformedDistribution(flat, [reshape]))
