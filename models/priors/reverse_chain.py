"""The reverse chain of a diffusion: estimates of log p(z), and samplers."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.models.priors.noise_schedule import NoiseSchedule

Estimate = Literal["path", "sum", "step"]
Sampler = Literal["ancestral", "ddim"]
SHIFT_LIMIT = 16.0  # on the variances' |shift|, so that no step of learning ends in infinities


class ReverseChain:
    r"""Reverse chain of a diffusion: a model of z with N Gaussian steps from noise to z.

    .. math:: p(z) = \int \mathcal{N}(z_N; 0, I) \prod_{t=1}^{N} p(z_{t-1} \mid z_t)\, dz_1 \dots dz_N, \qquad z_0 = z

    A step is a Gaussian around the mean of :math:`q(z_{t-1} \mid z_t, \hat z)`, with the denoised
    :math:`\hat z = \alpha_t z_t + \sigma_t v`, and with a variance between, or beyond,
    :math:`\log\beta` and :math:`\log\tilde\beta`, interpolated by w (Nichol and Dhariwal, 2021, equation 15). With
    v = w = 0 the chain is exactly N(0, I), at any number of steps.

    Args:
        schedule: the noise schedule.
        denoise: the network, from :math:`z_t` and t, shape (..., 1 or V, 1), to v and w, shape (..., V, D) each.
    """

    def __init__(self, schedule: NoiseSchedule, denoise: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
        self.schedule, self.denoise = schedule, denoise

    def step(self, z_t: Tensor, t: Tensor, s: Tensor) -> dist.Normal:
        """p(z_s | z_t), batch shape (..., V, D), from level t to any cleaner s; the model's own step is s = t - 1."""
        v, w = self.denoise(z_t, t)
        alpha, sigma = self.schedule.levels(t)
        mean = self.schedule.posterior_mean(z_t, alpha * z_t + sigma * v, s, t)
        _, beta = self.schedule.transition(s, t)
        _, sigma_s = self.schedule.levels(torch.maximum(s, t / 2))  # no level 0, where the other variance is none
        shift = SHIFT_LIMIT * torch.tanh(w / SHIFT_LIMIT)
        return dist.Normal(mean, (0.5 * beta.log() + shift * (sigma_s / sigma).log()).exp())

    def path(self, z: Tensor) -> Tensor:
        r"""Log-weight of one sampled noising path, the contribution of every dimension, of z's shape.

        .. math:: \log \frac{p(z, z_1, \dots, z_N)}{q(z_1, \dots, z_N \mid z)}

        The mean of the weight is p(z); the mean of the log-weight is the variational bound.
        """
        t = self._every_level(z)
        noise = torch.randn(self.schedule.steps, *z.shape, dtype=z.dtype, device=z.device)
        (alpha, _), (_, beta) = self.schedule.levels(t), self.schedule.transition(t - 1, t)
        noisy = alpha * (z + (beta.sqrt() / alpha * noise).cumsum(0))  # (N, ..., V, D): each from the one before
        back = self.step(noisy, t, t - 1).log_prob(torch.cat((z[None], noisy[:-1])))
        forth = _standard(noise) - 0.5 * beta.log()
        return (back - forth).sum(0) + _standard(noisy[-1])

    def excess(self, z: Tensor, t: Tensor) -> Tensor:
        r"""Difference between the contributions of step t to the variational bounds of this chain and of N(0, I).

        .. math:: \mathrm{KL}(q(z_{t-1} \mid z_t, z) \,\|\, p_0(z_{t-1} \mid z_t))
                  - \mathrm{KL}(q(z_{t-1} \mid z_t, z) \,\|\, p(z_{t-1} \mid z_t))

        with fresh noise, shape (..., V, D). :math:`p_0` is the chain of v = w = 0, whose bound is log N(z; 0, I): the
        bound of this chain is log N(z; 0, I) plus all differences, which are far less noisy than their terms. For
        t = 1 the difference is :math:`\log p(z \mid z_1) - \log p_0(z \mid z_1)`.
        """
        alpha, sigma = self.schedule.levels(t)
        noisy = alpha * z + sigma * torch.randn_like(z.expand(torch.broadcast_shapes(z.shape, t.shape)))
        mean = self.schedule.posterior_mean(noisy, z, t - 1, t)
        (a, beta), (_, sigma_s) = self.schedule.transition(t - 1, t), self.schedule.levels(t - 1)
        variance = beta * (sigma_s / sigma).square()  # with `mean`, of q(z_{t-1} | z_t, z), which is z itself for t = 1
        p, p_0 = self.step(noisy, t, t - 1), dist.Normal(a * noisy, beta.sqrt())
        nats = p.log_prob(mean) - 0.5 * variance / p.scale.square()
        return nats - p_0.log_prob(mean) + 0.5 * variance / p_0.scale.square()

    def log_density(self, z: Tensor, estimate: Estimate) -> Tensor:
        """An estimate of log p(z), the contribution of every dimension, of z's shape (..., V, D)."""
        if estimate == "path":
            return self.path(z)
        if estimate == "sum":
            return _standard(z) + self.excess(z, self._every_level(z)).sum(0)
        t = torch.randint(1, self.schedule.steps + 1, (*z.shape[:-2], 1, 1), device=z.device).to(z.dtype)
        return _standard(z) + self.schedule.steps * self.excess(z, t)

    def draw(self, noise: Tensor, steps: int, sampler: Sampler) -> Tensor:
        """Samples z from noise of the same shape, in `steps` steps; `ancestral` with all N samples the model itself."""
        levels = torch.linspace(self.schedule.steps, 0, steps + 1, device=noise.device).round().to(noise.dtype)
        z = noise
        for t, s in pairwise(levels.view(-1, 1, 1).unbind(0)):
            z = self.step(z, t, s).sample() if sampler == "ancestral" else self._ddim(z, t, s)
        return z

    def _ddim(self, z_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Deterministic DDIM step from level t to s. (Song et al., 2021, arXiv 2010.02502, equation 12, sigma = 0.)"""
        (alpha, sigma), (alpha_s, sigma_s) = self.schedule.levels(t), self.schedule.levels(s)
        clean = alpha * z_t + sigma * self.denoise(z_t, t)[0]
        return alpha_s * clean + sigma_s * (z_t - alpha * clean) / sigma

    def _every_level(self, z: Tensor) -> Tensor:
        """Levels t = 1 … N, shape (N, 1, ..., 1), to broadcast with z."""
        levels = torch.arange(1, self.schedule.steps + 1, dtype=z.dtype, device=z.device)
        return levels.view(-1, *[1] * z.dim())


def _standard(noise: Tensor) -> Tensor:
    return -0.5 * (noise.square() + math.log(2 * math.pi))
