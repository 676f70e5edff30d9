"""The slow gradient as a mean over all passes of the fast loop."""

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
    r"""θ follows the mean gradient along the fast loop, and not the one at its end alone.

    .. math:: \frac{1}{T + 1} \Big(\sum_{s=0}^{T-1} \nabla_\theta\, \mathcal{L}_{fast}(x; \gamma_s, \theta)
              + \nabla_\theta\, \mathcal{L}_{slow}(x; \gamma_T, \theta)\Big)

    Each pass has its own noise, as the paper's released code in effect has it up to its scale. The decoder then also
    learns to read thoughts that say little yet; thoughts were worth half as much (docs/thoughts.md). It costs the
    weights' gradients in every fast step, and a reading of the text for each. The passes follow the fast loop's own
    bound: over a prior that learns give both loops the same.

    Raises:
        InputError: from a fit, if the weights cannot follow the loop's bound, or the guide follows the loop itself.

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
        """Within, what `backward` brings to the weights is kept here; what they held before comes back."""
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
        """Add to the weights' gradients the passes' own, each with a share as large as that of the loop's end."""
        for weight, total in zip(self._weights, self._sums, strict=True):
            if total is not None:
                share = total / (tokens * self.times * (self.passes + 1))
                weight.grad = share if weight.grad is None else weight.grad + share
        self._forget()


def refusal_of_average(bound: AbstractObjective, guide: Guide) -> str | None:
    """Why the weights cannot follow the passes of a fast loop; None where they can."""
    if guide.needs_unrolled:
        return (
            f"GradientAverage does not go with {type(guide).__name__}, which follows the fast loop back to its start: "
            "let it learn with through='own', or leave GradientAverage out"
        )
    if bound.refusal_of_slow_step:
        return f"GradientAverage lets the weights follow the fast loop's bound too: {bound.refusal_of_slow_step}"
    return None
