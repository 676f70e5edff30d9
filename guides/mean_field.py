"""The paper's guide."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide


class MeanFieldGuide(AbstractGuide):
    r"""Diagonal Gaussian, :math:`q(z) = \mathcal{N}(\mu, \mathrm{diag}(\sigma^2))`, one row a sequence.

    It starts at the prior, where its KL is zero. (The paper's code starts at sigma = 0.082 and cannot
    come back within its 16 steps: give `sigma` to start elsewhere.)

    Args:
        z_shape: (L, K, D).
        sigma: where every standard deviation starts; None starts at the prior's mean and standard deviation.

    Raises:
        InputError: if sigma is not positive.
    """

    mu: Tensor
    log_sigma: Tensor

    def __init__(self, z_shape: tuple[int, int, int], sigma: float | None = None) -> None:
        super().__init__(z_shape)
        if sigma is not None and not sigma > 0:
            raise InputError(f"sigma={sigma}: the guide's starting standard deviation must be positive")
        self.sigma = sigma

    def start(self, x: Tensor, mask: Tensor | None = None, prior: dist.Distribution | None = None) -> None:
        mu, sigma = _moments(prior, x.device)
        if self.sigma is not None:
            sigma = torch.full_like(mu, self.sigma)
        rows = (len(x), *self.z_shape)  # (B, L, K, D)
        self.mu = mu.expand(rows).clone().requires_grad_()
        self.log_sigma = sigma.log().expand(rows).clone().requires_grad_()

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_sigma]

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        """As in `AbstractGuide`; an `InputError` if `start` has not seen this batch."""
        self.check_batch("mu", x)
        q = dist.Normal(self.mu, self.log_sigma.exp()).to_event(3)  # batch (B,), event (L, K, D)
        with pyro.plate("sequences", len(self.mu), dim=-1):
            return pyro.sample("z", q)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, sigma={'the prior' if self.sigma is None else self.sigma}"


def _moments(prior: dist.Distribution | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation to start at; 0 and 1 wherever the prior states none that are finite."""
    standard = torch.tensor(0.0, device=device), torch.tensor(1.0, device=device)
    if prior is None:
        return standard
    try:
        mean, variance = prior.mean, prior.variance
    except NotImplementedError:
        return standard
    mean = mean.detach().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return mean, variance.detach().nan_to_num(nan=1.0, posinf=1.0).sqrt()
