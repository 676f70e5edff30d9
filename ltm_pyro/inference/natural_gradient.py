"""A natural-gradient optimizer of local parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ltm_pyro.errors import InputError
from ltm_pyro.inference.contracts import Guide, guide_of
from ltm_pyro.inference.rows import by_sequence
from ltm_pyro.ranges import POSITIVE, bounded


class NaturalGradient(Optimizer):
    r"""Natural-gradient ascent: steepest ascent in the Fisher metric of the variational family.

    .. math:: \gamma \leftarrow \gamma + \rho\, F(\gamma)^{-1} \nabla_\gamma \mathcal{L}, \qquad
              F = \mathbb{E}_q\big[\nabla_\gamma \log q\, \nabla_\gamma \log q^\top\big]

    The guide computes the step in closed form from the gradients of its local parameters (`natural_step`); it is linear
    in the natural parameters, and needs no matrix larger than the family's own. With ρ = 1 and an exact gradient, one
    step reaches the posterior, if that is in the family and no direction is less certain than before. Precisions stay
    positive at any rate. Means may diverge, as along any gradient, from ρ = 2 / (the largest curvature of log p(x, z)
    in units of q's standard deviations) on: for families without covariances, such as the mean field, that can be less
    than 1. With few samples, rates of 0.03 to 0.3 average the noise; with more samples, larger rates are possible.
    (Amari, 1998; Khan and Lin, 2017, arXiv 1703.04265.)

    Gradient noise in all dimensions of z can add up to steps of hundreds of nats, from which q may not recover.
    `max_kl` shortens the step of a sequence that would change its q by a larger KL, to second order
    :math:`\mathrm{KL} = \tfrac{\rho^2}{2} g^\top F^{-1} g`: a trust region, as in Wu et al., 2017 (arXiv 1708.05144).

    Args:
        params: the guide's local parameters.
        lr: ρ.
        max_kl: the largest KL of a step for a sequence's q, in nats; None sets no limit.

    Raises:
        InputError: for a rate or limit that is not positive; from `step`, without a guide, or with one whose family has
            no natural gradient in closed form.
    """

    @bounded(lr=POSITIVE, max_kl=POSITIVE)
    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, max_kl: float | None = None) -> None:
        if not lr > 0:
            raise InputError(f"lr={lr}: expected a positive rate")
        if max_kl is not None and not max_kl > 0:
            raise InputError(f"max_kl={max_kl}: expected a positive number of nats, or None for no limit")
        super().__init__(params, {"lr": lr})
        self.guide: Guide | None = None
        self.max_kl = max_kl

    def attend(self, guide: Guide) -> None:
        """Set the guide that implements the steps, whose local parameters are `params`."""
        self.guide = guide_of(guide)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step along the current gradients, which `closure`, if given, computes first."""
        if self.guide is None:
            raise InputError(
                "NaturalGradient has no guide to move: use it as the optimizer of a FastLoop, or call "
                "attend(guide) with a guide that has natural_step"
            )
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        slopes = [row.grad for group in self.param_groups for row in group["params"] if row.grad is not None]
        if slopes:
            rate = self.param_groups[0]["lr"]
            if self.max_kl is not None:
                scale = (self.max_kl / (0.5 * rate**2 * self.guide.natural_norm())).sqrt().clamp(max=1.0)
                for slope in slopes:
                    slope.mul_(by_sequence(scale, slope))
            self.guide.natural_step(rate)
        return loss
