"""An objective that is no bound: another objective with the same noise at every step."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ltm_pyro.bounds.abstract import AbstractObjective
from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.elbo import ELBO
from ltm_pyro.bounds.non_bound import AbstractNonBound
from ltm_pyro.bounds.terms import Terms
from ltm_pyro.ranges import SEED, bounded


class FixedNoise(AbstractNonBound):
    """Objective with one draw of the noise for all fast steps and the reported value, as in the paper's code.

    q is fitted to this very draw, so that the value is no bound, whatever the inner objective. In training every batch
    has a draw of its own; for the protocol of the paper's code, give fast loop and slow step the same seed.

    Args:
        objective: the inner objective; the ELBO if None.
        seed: of the noise. The global random state is restored.
    """

    @bounded(seed=SEED)
    def __init__(self, objective: AbstractObjective | None = None, seed: int = 0) -> None:
        self.objective, self.seed, self.batch = objective or ELBO(), seed, 0
        inner = self.objective
        self.linear = inner.linear
        super().__init__(inner.particles, gradient=inner.gradient, at_once=inner.at_once)

    def begin(self, step: int) -> None:
        self.batch = step
        self.objective.begin(step)

    def spread_over(self, steps: int | None) -> None:
        self.objective.spread_over(steps)

    def schedule_end(self) -> int:
        return self.objective.schedule_end()

    def scheduled_over(self, steps: int, step: int) -> float | None:
        return self.objective.scheduled_over(steps, step)

    def unreached(self, steps: int) -> str:
        return self.objective.unreached(steps)

    def terms(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Terms:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(
                (self.seed * 2_654_435_761 + self.batch) % 2**32
            )  # the CPU generator uses 32 bits of a seed
            return replace(self.objective.terms(model, guide, *args, **kwargs), bound=None)

    def without_claim(self) -> FixedNoise:
        return self._of(self.objective.without_claim())

    def with_particles(self, particles: int) -> FixedNoise:
        return self._of(self.objective.with_particles(particles))

    def _of(self, objective: AbstractObjective) -> FixedNoise:
        fixed = copy(self)
        fixed.objective, fixed.particles = objective, objective.particles
        return fixed

    def estimate(self, draws: Draws) -> Tensor:
        return self.objective.estimate(draws)

    def value(self, log_w: Tensor) -> Tensor:
        return self.objective.value(log_w)

    def extra_repr(self) -> str:
        return f"{self.objective}, seed={self.seed}, "
