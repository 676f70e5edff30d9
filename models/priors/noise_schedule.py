"""The noise schedule of a diffusion: levels of signal and noise."""

from __future__ import annotations

import math

from torch import Tensor

from ltm_pyro.errors import InputError

END = 0.999  # of a right angle: at the last level 0.16 % of z is left


class NoiseSchedule:
    r"""Cosine noise schedule, in angles: level t = 0 is z, level N is noise.

    .. math:: z_t = \alpha_t z + \sigma_t \epsilon, \qquad \alpha_t = \cos\varphi_t, \quad
              \sigma_t = \sin\varphi_t, \quad \varphi_t = 0.999\,\frac{\pi}{2}\,\frac{t}{N}

    The transition from a level s to a noisier t is :math:`z_t = a z_s + \sqrt\beta\,\epsilon`, with
    :math:`a = \alpha_t / \alpha_s` and :math:`\beta = 1 - a^2`. (Nichol and Dhariwal, 2021, arXiv 2102.09672, equation
    17, without the offset.) Levels are floating-point tensors of any shape; nothing is tabulated, so that any
    precision and device will do.

    Args:
        steps: N.

    Raises:
        InputError: for fewer than two steps.
    """

    def __init__(self, steps: int) -> None:
        if steps < 2:
            raise InputError(f"steps={steps}: a diffusion needs at least two steps")
        self.steps = steps

    def angle(self, t: Tensor) -> Tensor:
        """The angle of level t."""
        return t * (END * math.pi / 2 / self.steps)

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients alpha and sigma of level t."""
        angle = self.angle(t)
        return angle.cos(), angle.sin()

    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients a and beta of the transition from level s to a noisier t."""
        before, after = self.angle(s), self.angle(t)
        a = after.cos() / before.cos()
        beta = (after - before).sin() * (after + before).sin() / before.cos().square()  # 1 - a², without cancellation
        return a, beta

    def posterior_mean(self, z_t: Tensor, z: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """The mean of q(z_s | z_t, z); its variance is beta σ_s² / σ_t²."""
        (alpha_s, sigma_s), (_, sigma_t) = self.levels(s), self.levels(t)
        a, beta = self.transition(s, t)
        return (a * sigma_s.square() * z_t + alpha_s * beta * z) / sigma_t.square()

    def __repr__(self) -> str:
        return f"NoiseSchedule(steps={self.steps})"
