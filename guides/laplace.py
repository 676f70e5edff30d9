"""A Gaussian about the most probable thoughts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.guides.curvature import curvature_along
from ltm_pyro.guides.full_covariance import LARGEST, FullGaussian
from ltm_pyro.guides.moments import moments
from ltm_pyro.guides.point_guide import AbstractPointGuide
from ltm_pyro.guides.points import Points
from ltm_pyro.guides.roots import lower_root
from ltm_pyro.ranges import POSITIVE, bounded, whole


class LaplaceGuide(AbstractPointGuide):
    r"""Laplace's approximation: a Gaussian at the mode, with the curvature there as its precision.

    .. math:: q(z) = \mathcal{N}\big(\hat z, \Lambda^{-1}\big), \qquad
              \hat z = \arg\max_z \log p(x, z), \quad \Lambda = -\nabla^2 \log p(x, z) \big|_{\hat z}

    The fast loop moves a point, as `MAPGuide`; its end makes it a Gaussian, which has a density. Curvature is taken by
    central differences of gradients, two gradients a direction, so that it works with every decoder:

    - `full`: all L K D directions. Exact where p(x, z) is Gaussian. For small z.
    - `diagonal`: the diagonal of Λ, hence for a Gaussian the best mean-field posterior. Exact if `probes` is L K D or
      more; with fewer an unbiased estimate from random signs v, the mean of :math:`v \odot \Lambda v`, which is noisier
      the larger Λ is off its diagonal. Its noise costs tightness, never validity: q is a Gaussian all the same.

    No direction is taken to be less certain than the prior: where the curvature, in units of the prior's standard
    deviations, is below `floor`, it is raised to it. That also keeps Λ positive definite where the point is not a mode.
    Where log p(x, z) has a kink at its mode, as under a `LaplacePrior`, the curvature says nothing about the width: q
    is then far too narrow, and its bound, which holds, far too low.

    Args:
        z_shape: (L, K, D).
        covariance: `diagonal` or `full`.
        probes: directions of the diagonal's estimate.
        floor: the least precision, the prior's being 1.
        at_once: points in one pass through the model.

    Raises:
        InputError: for another covariance, for one that is too large, or for numbers that are not positive.
    """

    @bounded(probes=whole(1), floor=POSITIVE, at_once=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        covariance: Literal["diagonal", "full"] = "diagonal",
        probes: int = 8,
        floor: float = 1.0,
        at_once: int = 8,
    ) -> None:
        super().__init__(z_shape)
        self.size = math.prod(self.z_shape)
        if covariance not in ("diagonal", "full"):
            raise InputError(f"covariance={covariance!r}: expected 'diagonal' or 'full'")
        if probes < 1 or at_once < 1 or not floor > 0:
            raise InputError(f"probes={probes}, floor={floor}, at_once={at_once}: expected positive numbers")
        if covariance == "full" and self.size > LARGEST:
            raise InputError(
                f"covariance='full' holds {self.size} x {self.size} numbers for every sequence, and takes "
                f"{2 * self.size} gradients: up to L K D = {LARGEST} it is allowed; take covariance='diagonal'"
            )
        self.covariance, self.probes, self.floor, self.at_once = covariance, probes, floor, at_once
        self.has_density = True  # at the end, which is what is asked before a batch begins
        self._scale: Tensor | None = None  # (B, L, K, D), or the factor of the covariance, (B, L K D, L K D)

    def begin(self, batch: int, prior: Distribution | None, device: torch.device) -> Tensor:
        self._scale, self.has_density = None, False
        self.sigma = moments(prior, device)[1].expand(self.z_shape)  # (L, K, D)
        return self.at_the_mean(batch, prior, device)

    def posterior(self) -> Distribution:
        mode = self.z.squeeze(1)  # (B, L, K, D)
        if self._scale is None:
            return Points(self.z)
        if self.covariance == "diagonal":
            return dist.Normal(mode, self._scale).to_event(3)
        return FullGaussian(mode, self._scale)

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        mode = self.z.detach().squeeze(1)
        sigma = self.sigma.to(mode.dtype)
        directions = self._directions(mode)  # (M, L K D)
        bends = curvature_along(directions.view(-1, *self.z_shape), mode, sigma, log_joint, self.at_once).flatten(2)
        if self.covariance == "full":
            self._scale = sigma.flatten()[:, None] * _factor(bends.transpose(0, 1), self.floor)
        else:
            precision = (directions[:, None] * bends).sum(0) / directions.square().sum(0)  # (B, L K D)
            spread = precision.nan_to_num(self.floor).clamp(min=self.floor).rsqrt()
            self._scale = sigma * spread.view_as(mode)
        self.has_density = True

    def _directions(self, mode: Tensor) -> Tensor:
        """Every axis, or random signs, shape (M, L K D)."""
        if self.covariance == "full" or self.probes >= self.size:
            return torch.eye(self.size, dtype=mode.dtype, device=mode.device)
        signs = torch.randint(2, (self.probes, self.size), device=mode.device)
        return 2 * signs.to(mode.dtype) - 1

    def extra_repr(self) -> str:
        own = f"covariance={self.covariance!r}, probes={self.probes}, floor={self.floor}"
        return f"z_shape={self.z_shape}, {own}"


def _factor(precision: Tensor, floor: float) -> Tensor:
    """The lower triangular factor of the inverse of the precision, no eigenvalue below the floor, (B, n, n)."""
    symmetric = ((precision + precision.mT) / 2).nan_to_num(0.0, 0.0, 0.0)
    values, vectors = torch.linalg.eigh(symmetric)
    return lower_root(vectors * values.clamp(min=floor).rsqrt()[:, None])
