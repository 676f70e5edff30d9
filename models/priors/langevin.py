"""Samples of a tilted Gaussian by annealed Langevin dynamics, and bounds on its normaliser from their weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ltm_pyro.models.priors.distribution import Z_DIMS

Energy = Callable[[Tensor], Tensor]  # from (..., L, K, D) to (...)


class NormaliserBounds(NamedTuple):
    """Two random numbers whose means enclose log Z, in nats, and the standard error of the upper one."""

    lower: float
    upper: float
    error: float


def annealed(z: Tensor, energy: Energy, steps: int, step_size: float) -> tuple[Tensor, Tensor]:
    r"""Annealed importance sampling from N(0, I) to :math:`p(z) = e^{-E(z)}\, \mathcal{N}(z; 0, I) / Z`.

    .. math:: \log w = -\sum_{i=1}^{n} (\beta_i - \beta_{i-1})\, E(z_{i-1}), \qquad \mathbb{E}[w] = Z, \qquad
              \mathbb{E}[w f(z_n)] = Z\, \mathbb{E}_p[f(z)]

    with :math:`\beta_i = i / n`, :math:`z_0 \sim \mathcal{N}(0, I)` and one `langevin_step` to :math:`z_i` at each
    :math:`\beta_i`. Both equations hold at any number of steps and any step size. (Neal, 2001, arXiv physics/9803008.)

    Args:
        z: samples from N(0, I), shape (..., L, K, D).
        energy: E.
        steps: n.
        step_size: of the Langevin steps.

    Returns:
        The last states of the chains, of z's shape, and log w, shape (...), both without history.
    """
    log_w = torch.zeros_like(z[..., 0, 0, 0])
    for i in range(1, steps + 1):
        with torch.no_grad():
            log_w = log_w - energy(z) / steps
        z = langevin_step(z, energy, i / steps, step_size)
    return z, log_w


def langevin_step(z: Tensor, energy: Energy, beta: float, step_size: float) -> Tensor:
    r"""Metropolis-adjusted Langevin step that leaves :math:`e^{-\beta E(z)}\, \mathcal{N}(z; 0, I)` invariant.

    .. math:: z' = a z - (1 - a)\,\beta \nabla E(z) + s\,\xi, \qquad a = \sqrt{1 - s^2}, \quad
              \xi \sim \mathcal{N}(0, I)

    For a small s the proposal is :math:`z + \tfrac{s^2}{2} \nabla \log p(z) + s\,\xi`. In this form the Gaussian factor
    causes no rejections, in any number of dimensions. (Cotter et al., 2013, arXiv 1202.0709.)

    Args:
        z: shape (..., L, K, D).
        energy: E.
        beta: the factor on E.
        step_size: s, between 0 and 1.

    Returns:
        The next state, of z's shape, without history.
    """
    keep = math.sqrt(1 - step_size**2)
    height, mean = _drift(z, energy, beta, keep)
    proposal = mean + step_size * torch.randn_like(z)
    new_height, new_mean = _drift(proposal, energy, beta, keep)
    forth, back = _square(proposal - mean), _square(z - new_mean)
    log_ratio = height - new_height + 0.5 * (_square(z) - _square(proposal)) + (forth - back) / (2 * step_size**2)
    accept = torch.rand_like(height).log() < log_ratio  # (...)
    return torch.where(accept[..., None, None, None], proposal, z.detach())


def normaliser_bounds(log_w: Tensor) -> NormaliserBounds:
    r"""Bounds on log Z, in the mean, from independent weights of mean Z, shape (2n,).

    .. math:: \mathbb{E}\Big[\log \tfrac1n \textstyle\sum w_i\Big] \;\le\; \log Z \;\le\;
              \mathbb{E}\Big[\tfrac1n \textstyle\sum w_i / a - 1 + \log a\Big]

    The left side is Jensen's inequality. The right side is :math:`\log y \le y/a - 1 + \log a`, which is linear in
    y = Z, so that an unbiased estimate may replace Z; it holds for every a that is independent of these weights. Here a
    is the mean of the other half of the weights, which makes the bound tight.
    """
    halves = log_w.double().view(2, -1)  # one half for a, one half for the mean
    log_a = halves[0].logsumexp(0) - math.log(halves.shape[1])
    ratio = (halves[1] - log_a).exp()
    upper = ratio.mean() - 1 + log_a
    lower = halves.flatten().logsumexp(0) - math.log(halves.numel())
    return NormaliserBounds(lower.item(), upper.item(), (ratio.std() / math.sqrt(len(ratio))).item())


def _drift(z: Tensor, energy: Energy, beta: float, keep: float) -> tuple[Tensor, Tensor]:
    """beta E(z) and the mean of the next proposal, without history."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        height = beta * energy(z)
        (slope,) = torch.autograd.grad(height.sum(), z)
    return height.detach(), keep * z.detach() - (1 - keep) * slope


def _square(z: Tensor) -> Tensor:
    return z.square().flatten(-Z_DIMS).sum(-1)
