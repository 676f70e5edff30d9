"""The curvature of a log-density along directions, from its gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def curvature_along(
    directions: Tensor, z: Tensor, sigma: Tensor, log_density: Callable[[Tensor], Tensor], at_once: int = 8
) -> Tensor:
    r"""Minus the second derivative times each direction, :math:`\sigma \odot \Lambda\,(\sigma \odot v)`.

    .. math:: \Lambda u \approx \frac{\nabla \log p(z - h u) - \nabla \log p(z + h u)}{2 h}, \qquad
              h = \sqrt[3]{\text{the arithmetic's precision}}

    Central differences: fused kernels have no second derivative of their own. A density that is itself random, as that
    of a diffusion, has the same noise on both sides.

    Args:
        directions: v, shape (M, L, K, D), in units of sigma.
        z: where, shape (B, L, K, D).
        sigma: the scale of every coordinate, shape (L, K, D).
        log_density: (S, B, L, K, D) -> (S, B), differentiable.
        at_once: points in one pass.

    Returns:
        Shape (M, B, L, K, D), without history.
    """
    step = torch.finfo(z.dtype).eps ** (1 / 3)
    bends = []
    for some in directions.split(at_once):
        shift = step * (sigma * some)[:, None]  # (m, 1, L, K, D)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            before = _slope(log_density, z - shift)
        after = _slope(log_density, z + shift)
        bends.append(sigma * (before - after) / (2 * step))
    return torch.cat(bends)


def _slope(log_density: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    with torch.enable_grad(), torch.autocast(z.device.type, enabled=False):  # no difference survives bf16
        z = z.detach().requires_grad_()
        return torch.autograd.grad(log_density(z).sum(), z)[0]
