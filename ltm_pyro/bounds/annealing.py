"""Annealed importance sampling: chains from where z is easily drawn to the posterior, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.bounds.hamiltonian import Hamiltonian, Point
from ltm_pyro.bounds.tempered_path import TemperedPath

Schedule = Literal["sigmoid", "linear"]
Listener = Callable[[str, int, int], None]
STEEPNESS = 4.0  # δ of the sigmoid schedule
SETTLING = 25  # moves at the first temperature before a step size is kept
GAIN = 0.3  # of the logarithm of the step size, per unit of acceptance
ACCEPTANCE = 0.65  # where Hamiltonian Monte Carlo is most efficient (Beskos et al., 2013, arXiv 1001.4460)


class Chains(NamedTuple):
    """The result of S chains along a path."""

    log_weight: Tensor  # (S, B)
    acceptance: Tensor  # of the transitions, their mean, (B,); NaN where there are none


class Annealing:
    r"""Annealed importance sampling along a path with T intervals between the temperatures.

    .. math:: \log w = \sum_{t=1}^{T} (\beta_t - \beta_{t-1})\, \log w(z_{t-1}), \qquad
              z_0 \sim q, \quad z_t \sim \mathcal{T}_{\beta_t}(z_t \mid z_{t-1})

    (Neal, 2001, arXiv physics/9803008, with the ratio of two neighbours of the path put in.) The transitions leave
    :math:`f_{\beta_t}` as it is, so that :math:`\mathbb{E}[w] = p(x)`, however few they are. They are reversible:
    the same chain run backward, from an exact sample of the posterior, has :math:`\mathbb{E}[1/w] = 1/p(x)`.

    Step sizes, one for each temperature and sequence, come from a preliminary run with noise of its own. Both
    directions then hold them.

    Args:
        path: between which densities.
        temperatures: T.
        schedule: `sigmoid`, slow at both ends (Wu et al., 2017, arXiv 1611.04273), or `linear`.
        leapfrog_steps: of every transition.
        tuning: temperatures of the preliminary run, each met twice.
        listener: told the run, the transitions made and their number.
    """

    def __init__(
        self,
        path: TemperedPath,
        temperatures: int,
        schedule: Schedule,
        leapfrog_steps: int,
        tuning: int,
        listener: Listener | None = None,
    ) -> None:
        self.path, self.schedule, self.listener = path, schedule, listener
        self.betas = points(temperatures, schedule)
        # Nothing may adapt within a run that is weighed: a transition that depends on the chain's own past leaves its
        # density no longer as it is. The preliminary run sees x alone, and no exact sample of the posterior: given x,
        # what it finds is independent of that sample and of the noise of both runs, for which it is a constant. Nor do
        # those begin at its samples, which the scale may come of.
        z, scale = path.start()
        self.transition = Hamiltonian(path.at, leapfrog_steps, scale)
        self.steps = self._tune(path.at(z), tuning if temperatures > 1 else 0)  # (tuning, B)

    def forward(self) -> Chains:
        """Chains from fresh samples of q."""
        z, _ = self.path.start()
        return self._run("forward", z, range(len(self.betas)))

    def backward(self, z: Tensor) -> Chains:
        """Chains from samples of the posterior, shape (S, B, N), with the weights of the same chains run forward."""
        return self._run("backward", z, range(len(self.betas))[::-1])

    def _run(self, name: str, z: Tensor, places: Sequence[int]) -> Chains:
        """Forward and backward differ in the order of the temperatures alone."""
        here, last = self.path.at(z), len(places) - 1
        log_weight, accepted = torch.zeros_like(here.log_start), torch.zeros_like(here.log_start)
        for count, (place, following) in enumerate(pairwise(places), 1):
            log_weight = log_weight + abs(self.betas[following] - self.betas[place]) * here.log_ratio
            if count < last:  # at the end of the path nothing is weighed any more
                here, acceptance = self.transition.move(here, self.betas[following], self._step(following))
                accepted = accepted + acceptance
                self._tell(name, count, last - 1)
        return Chains(log_weight, (accepted / (last - 1) if last > 1 else accepted * torch.nan).mean(0))

    def _tune(self, here: Point, count: int) -> Tensor:
        """Step sizes for `count` temperatures, shape (count, B), from a run up and down again.

        Step sizes fall on the way up and follow too late; on the way down they rise too late. The mean is right.
        """
        inner = points(count + 1, self.schedule)[1:-1]
        betas = [*inner[:1] * SETTLING, *inner, *inner[::-1]]
        log_step = torch.full_like(here.log_start[0], -0.25 * math.log(here.z.shape[-1]))  # (B,)
        kept = []
        for made, beta in enumerate(betas, 1):
            here, acceptance = self.transition.move(here, beta, log_step.exp())
            log_step = log_step + GAIN * (acceptance.mean(0) - ACCEPTANCE)
            kept.append(log_step)
            self._tell("tuning", made, len(betas))
        if not kept:
            return log_step.new_empty(0, len(log_step))
        up, down = torch.stack(kept[SETTLING:]).chunk(2)
        return (0.5 * (up + down.flip(0))).exp()

    def _step(self, place: int) -> Tensor:
        """The step size at a temperature, that of the nearest one which has been tuned, shape (B,)."""
        tuned = len(self.steps)
        nearest = round(place / (len(self.betas) - 1) * (tuned + 1)) - 1
        return self.steps[min(max(nearest, 0), tuned - 1)]

    def _tell(self, name: str, done: int, total: int) -> None:
        if self.listener is not None:
            self.listener(name, done, total)


def points(temperatures: int, schedule: Schedule) -> list[float]:
    r"""The inverse temperatures from 0 to 1, one more than there are intervals.

    .. math:: \beta_t = \frac{\sigma_t - \sigma_0}{\sigma_T - \sigma_0}, \qquad
              \sigma_t = \frac{1}{1 + e^{-\delta (2t/T - 1)}}
    """
    places = [t / temperatures for t in range(temperatures + 1)]
    if schedule == "linear":
        return places
    heights = [1 / (1 + math.exp(-STEEPNESS * (2 * place - 1))) for place in places]
    return [(height - heights[0]) / (heights[-1] - heights[0]) for height in heights]
