"""The curvature of a log-density along directions, by finite differences of gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def curvature_along(
    directions: Tensor, z: Tensor, sigma: Tensor, log_density: Callable[[Tensor], Tensor], at_once: int = 8
) -> Tensor:
    r"""Products of the negative Hessian with directions, :math:`\sigma \odot \Lambda\,(\sigma \odot v)`.

    .. math:: \Lambda u \approx \frac{\nabla \log p(z - h u) - \nabla \log p(z + h u)}{2 h}, \qquad
              h = \sqrt[3]{\text{machine epsilon}}

    Central differences, as fused kernels have no second derivative. A random density, such as a diffusion's, is
    evaluated with the same noise on both sides.

    Args:
        directions: v, shape (M, L, K, D), in units of sigma.
        z: the points of evaluation, shape (B, L, K, D).
        sigma: the scale of every coordinate, shape (L, K, D).
        log_density: (S, B, L, K, D) -> (S, B), differentiable.
        at_once: points in one pass.

    Returns:
        The products, shape (M, B, L, K, D), without history.
    """
    step = torch.finfo(z.dtype).eps ** (1 / 3)
    products = []
    for chunk in directions.split(at_once):
        shift = step * (sigma * chunk)[:, None]  # (m, 1, L, K, D)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            before = _slope(log_density, z - shift)
        after = _slope(log_density, z + shift)
        products.append(sigma * (before - after) / (2 * step))
    return torch.cat(products)


def _slope(log_density: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    with torch.enable_grad(), torch.autocast(z.device.type, enabled=False):  # bf16 is too coarse for differences
        z = z.detach().requires_grad_()
        return torch.autograd.grad(log_density(z).sum(), z)[0]
