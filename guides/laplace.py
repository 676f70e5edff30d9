"""A Laplace-approximation guide."""

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
    r"""Laplace approximation: a Gaussian at the mode, whose precision is the negative Hessian there.

    .. math:: q(z) = \mathcal{N}\big(\hat z, \Lambda^{-1}\big), \qquad
              \hat z = \arg\max_z \log p(x, z), \quad \Lambda = -\nabla^2 \log p(x, z) \big|_{\hat z}

    The fast loop fits a point, as for `MAPGuide`; after the loop, q becomes a Gaussian, which has a density. Curvature
    is computed by central differences of gradients, two gradients a direction, which works with every decoder:

    - `full`: all L K D directions. Exact where p(x, z) is Gaussian. For small z.
    - `diagonal`: the diagonal of Λ, which for a Gaussian gives the best mean-field posterior. Exact if `probes` is L K
      D or more; with fewer, an unbiased estimate from random signs v, the mean of :math:`v \odot \Lambda v`, whose
      noise grows with the off-diagonal entries of Λ. Noise makes the bound looser, never invalid: q is still a
      Gaussian.

    No direction is less certain than under the prior: curvature, in units of the prior's standard deviations, is raised
    to `floor` where it is below. This also keeps Λ positive definite where the point is not a mode. Where log p(x, z)
    is not differentiable at its mode, as under a `LaplacePrior`, the curvature does not measure the width: q is then
    far too narrow, and its bound, though valid, far too low.

    Args:
        z_shape: (L, K, D).
        covariance: `diagonal` or `full`.
        probes: number of directions for the estimate of the diagonal.
        floor: the least precision, in units of the prior's.
        at_once: number of points in one pass through the model.

    Raises:
        InputError: for an unknown covariance, a `full` one that is too large, or numbers that are not positive.
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
                f"{2 * self.size} gradients: L K D may be up to {LARGEST}; take covariance='diagonal'"
            )
        self.covariance, self.probes, self.floor, self.at_once = covariance, probes, floor, at_once
        self.has_density = True  # of the fitted posterior, as callers ask before a batch begins
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
        products = curvature_along(directions.view(-1, *self.z_shape), mode, sigma, log_joint, self.at_once).flatten(2)
        if self.covariance == "full":
            self._scale = sigma.flatten()[:, None] * _factor(products.transpose(0, 1), self.floor)
        else:
            precision = (directions[:, None] * products).sum(0) / directions.square().sum(0)  # (B, L K D)
            spread = precision.nan_to_num(self.floor).clamp(min=self.floor).rsqrt()
            self._scale = sigma * spread.view_as(mode)
        self.has_density = True

    def _directions(self, mode: Tensor) -> Tensor:
        """Directions of the curvature: every axis, or random signs, shape (M, L K D)."""
        if self.covariance == "full" or self.probes >= self.size:
            return torch.eye(self.size, dtype=mode.dtype, device=mode.device)
        signs = torch.randint(2, (self.probes, self.size), device=mode.device)
        return 2 * signs.to(mode.dtype) - 1

    def extra_repr(self) -> str:
        own = f"covariance={self.covariance!r}, probes={self.probes}, floor={self.floor}"
        return f"z_shape={self.z_shape}, {own}"


def _factor(precision: Tensor, floor: float) -> Tensor:
    """Lower triangular factor of the covariance, (B, n, n), with the precision's eigenvalues raised to the floor."""
    symmetric = ((precision + precision.mT) / 2).nan_to_num(0.0, 0.0, 0.0)
    values, vectors = torch.linalg.eigh(symmetric)
    return lower_root(vectors * values.clamp(min=floor).rsqrt()[:, None])
