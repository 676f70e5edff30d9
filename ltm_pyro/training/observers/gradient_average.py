"""Observer that averages the slow gradient over all passes of the fast loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from ltm_pyro.bounds import AbstractObjective
from ltm_pyro.errors import InputError
from ltm_pyro.inference import FastStep, Fit, Guide, WeightObserver


class GradientAverage(WeightObserver):
    r"""Average of the gradient with respect to θ over the fast loop, instead of the gradient at its end alone.

    .. math:: \frac{1}{T + 1} \Big(\sum_{s=0}^{T-1} \nabla_\theta\, \mathcal{L}_{fast}(x; \gamma_s, \theta)
              + \nabla_\theta\, \mathcal{L}_{slow}(x; \gamma_T, \theta)\Big)

    Each pass has its own noise; up to scale this is what the paper's released code in effect does. The decoder is then
    also trained on thoughts early in their fit, which carry little information: thoughts were worth half as much
    (docs/thoughts.md). The cost is the gradients of the weights in every fast step, and a pass over the text for
    each. The passes use the fast loop's bound: with a prior that has parameters, give both loops the same bound.

    Raises:
        InputError: from a fit, if the fast bound cannot train the weights, or the guide differentiates through the fit.

    Example:
        >>> from ltm_pyro import ELBO, Decoder, DualRateSVI, FastLoop, GaussianPrior, LatentThoughtModel
        >>> from ltm_pyro import MeanFieldGuide, SlowStep
        >>> decoder = Decoder(vocabulary=10, width=8, layers=1, heads=2, thoughts=2, length=6)
        >>> model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), MeanFieldGuide(decoder.z_shape)
        >>> svi = DualRateSVI(model, guide, FastLoop(ELBO(), 4), SlowStep(ELBO()), observers=[GradientAverage()])
        >>> svi.step(model(batch_size=3).detach()).elbo.shape
        torch.Size([3])
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.passes, self.times = 0, 1
        self._weights: list[nn.Parameter] = []
        self._sums: list[Tensor | None] = []

    @contextmanager
    def around(self, fit: Fit) -> Iterator[None]:
        """Context manager in which the gradients of the weights are collected; earlier ones are restored at the end."""
        if reason := refusal_of_average(fit.bound, fit.guide):
            raise InputError(reason)
        self._forget()
        parameters = chain(fit.model.parameters(), fit.guide.parameters())
        self._weights = list(dict.fromkeys(weight for weight in parameters if weight.requires_grad))
        self.times = fit.times
        before = [weight.grad for weight in self._weights]
        for weight in self._weights:
            weight.grad = None
        try:
            yield
            self._sums = [weight.grad for weight in self._weights]
        finally:
            for weight, gradient in zip(self._weights, before, strict=True):
                weight.grad = gradient

    def after(self, step: FastStep) -> None:
        self.passes += 1

    def weigh(self, loss: Tensor) -> Tensor:
        return loss / (self.passes + 1)

    @torch.no_grad()
    def learned(self, tokens: Tensor | int) -> None:
        """Add the gradients of the passes to those of the weights, each with the share of the gradient at the end."""
        for weight, total in zip(self._weights, self._sums, strict=True):
            if total is not None:
                share = total / (tokens * self.times * (self.passes + 1))
                weight.grad = share if weight.grad is None else weight.grad + share
        self._forget()


def refusal_of_average(bound: AbstractObjective, guide: Guide) -> str | None:
    """Reason why gradients cannot be averaged over a fast loop with this bound and guide; None if they can."""
    if guide.needs_unrolled:
        return (
            f"GradientAverage does not work with {type(guide).__name__}, which differentiates through the fast loop: "
            "give the guide through='own', or leave GradientAverage out"
        )
    if bound.refusal_of_slow_step:
        return f"GradientAverage trains the weights with the fast loop's bound too: {bound.refusal_of_slow_step}"
    return None
