"""The fit of q for tables: as close as possible to the best member of its family."""

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
    """Fit of q for tables and prompts, independent of the fast loop of training.

    A reported bound must not depend on an optimizer that has not converged.

    A family with natural steps takes these, with a rate that falls far enough to average the noise of single samples.
    Other families take more steps of the optimizer of training, with a rate that falls as far. A sampler
    (`LangevinGuide`) runs as in training, and a guide without local parameters needs no fit.

    Args:
        steps: the least number of steps; as many as in training, if these are more.
        rate: of the first natural step.
        final_fraction: the last rate as a fraction of the first, at most.
        max_kl: the largest KL of a natural step for a text's q, in nats.
    """

    steps: int = 96
    rate: float = 0.3
    final_fraction: float = 0.02
    max_kl: float = 5.0

    def loop(self, guide: nn.Module, fast: FastLoop, steps: int | None = None) -> FastLoop:
        """The fast loop of tables.

        Args:
            guide: the guide to fit.
            fast: the loop of training, or a loop of tables.
            steps: the number of steps; the default of this class if None.
        """
        loop, posterior = towards_a_bound(fast), guide_of(guide)
        loop.tokens, loop.tolerance = 1.0, None
        default_steps = fast.steps if posterior.is_sampler else max(self.steps, fast.steps)
        if posterior.has_natural_step:
            loop.optimizer = partial(NaturalGradient, max_kl=self.max_kl)
            loop.learning_rate, loop.final_fraction = self.rate, self.final_fraction
        elif not posterior.is_sampler:
            loop.final_fraction = min(fast.final_fraction, self.final_fraction)
        loop.steps = default_steps if steps is None else steps
        return loop


def towards_a_bound(fast: FastLoop) -> FastLoop:
    """The same loop with a bound as its objective."""
    loop = copy(fast)
    loop.bound = fast.bound.as_bound()
    return loop
