"""A Stein variational gradient descent guide."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.guides.point_guide import AbstractPointGuide
from ltm_pyro.ranges import bounded, whole


class SVGDGuide(AbstractPointGuide):
    r"""Stein variational gradient descent: N particles a sequence, which start at samples of the prior and follow

    .. math:: \phi(z_i) = \frac1N \sum_{j=1}^{N} k(z_j, z_i)\, \nabla \log p(x, z_j) + \nabla_{z_j} k(z_j, z_i), \qquad
              k(z, z') = e^{-\lVert z - z' \rVert^2 / h}

    with h the median of the squared distances between the particles of a sequence, divided by log(N + 1). (Liu and
    Wang, 2016, arXiv 1608.04471, equation 8 and section 5.) The direction replaces the gradient in every
    backward pass, for any optimizer. With one particle it is `MAPGuide` from a sample of the prior.

    Few particles suffice for means. Variances need many, and the particles gather at the mode as the dimension of z
    grows. There is no density: nothing is bounded. S samples are the particles in turn (see `Points`).

    Args:
        z_shape: (L, K, D).
        particles: N.

    Raises:
        InputError: for fewer than one particle.
    """

    @bounded(particles=whole(1))
    def __init__(self, z_shape: tuple[int, int, int], particles: int = 8) -> None:
        super().__init__(z_shape, particles)

    def begin(self, batch: int, prior: Distribution | None, device: torch.device) -> Tensor:
        return self.from_the_prior(batch, prior, device)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        super().start(x, mask, prior)
        with torch.enable_grad():
            points = self.z
            points.register_hook(lambda slope: -stein_direction(points.detach(), -slope))


@torch.no_grad()
def stein_direction(z: Tensor, slope: Tensor) -> Tensor:
    """Direction φ at every particle, shape (B, N, ...), from the particles and the gradients of the log-density."""
    points, slopes = z.flatten(2), slope.flatten(2)  # (B, N, n)
    count = points.shape[1]
    if count == 1:
        return slope
    # not by a matrix product, which would round small distances to zero
    square = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").square()  # (B, N, N)
    above = torch.triu_indices(count, count, offset=1, device=z.device)
    width = square[:, above[0], above[1]].median(-1).values.clamp(min=1e-12) / math.log(count + 1)  # (B,)
    kernel = (-square / width[:, None, None]).exp()
    repulsion = points * kernel.sum(-1, keepdim=True) - kernel @ points
    return ((kernel @ slopes + 2 / width[:, None, None] * repulsion) / count).view_as(z)
