"""The fit behind a table: q as near to its family's best as is known to be possible."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import partial

from torch import nn

from ltm_pyro.inference.contracts import guide_of
from ltm_pyro.inference.fast_loop import FastLoop
from ltm_pyro.inference.natural_gradient import NaturalGradient


@dataclass(frozen=True)
class TableFit:
    """The fit of q for tables and prompts, whatever fits q in training.

    A bound on what a text costs is not to depend on an optimizer that has not converged.

    A family with natural steps takes these, at a rate that falls far enough for the noise of single samples to average
    out. Any other takes more steps of the training's own optimizer, with a rate that falls as far. A sampler
    (`LangevinGuide`) stays as it is in training, and where nothing is local there is nothing to fit.

    Args:
        steps: of natural gradient or of the training's optimizer; as many as in training, if these are more.
        rate: of the first natural step.
        final_fraction: the last rate as a fraction of the first, at most.
        max_kl: the farthest that a natural step moves a text's q, in nats.
    """

    steps: int = 96
    rate: float = 0.3
    final_fraction: float = 0.02
    max_kl: float = 5.0

    def loop(self, guide: nn.Module, fast: FastLoop, steps: int | None = None) -> FastLoop:
        """The fast loop of tables.

        Args:
            guide: what is fitted.
            fast: the loop of its training, or of tables already.
            steps: as many as its user asks for; as many as are known to suffice if None.
        """
        fitted, posterior = towards_a_bound(fast), guide_of(guide)
        fitted.tokens, fitted.tolerance = 1.0, None
        enough = fast.steps if posterior.is_sampler else max(self.steps, fast.steps)
        if posterior.has_natural_step:
            fitted.optimizer = partial(NaturalGradient, max_kl=self.max_kl)
            fitted.learning_rate, fitted.final_fraction = self.rate, self.final_fraction
        elif not posterior.is_sampler:
            fitted.final_fraction = min(fast.final_fraction, self.final_fraction)
        fitted.steps = enough if steps is None else steps
        return fitted


def towards_a_bound(fast: FastLoop) -> FastLoop:
    """The same loop, towards a bound."""
    loop = copy(fast)
    loop.bound = fast.bound.as_bound()
    return loop
