"""Annealed importance sampling: chains from q to the posterior, and back."""

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
SETTLING = 25  # transitions of burn-in at the first temperature, before step sizes are recorded
GAIN = 0.3  # of the logarithm of the step size, per unit of acceptance
ACCEPTANCE = 0.65  # target, at which Hamiltonian Monte Carlo is most efficient (Beskos et al., 2013, arXiv 1001.4460)


class Chains(NamedTuple):
    """Results of S chains along a path."""

    log_weight: Tensor  # (S, B)
    acceptance: Tensor  # of the transitions, their mean, (B,); NaN where there are none


class Annealing:
    r"""Annealed importance sampling along a path with T intervals between the temperatures.

    .. math:: \log w = \sum_{t=1}^{T} (\beta_t - \beta_{t-1})\, \log w(z_{t-1}), \qquad
              z_0 \sim q, \quad z_t \sim \mathcal{T}_{\beta_t}(z_t \mid z_{t-1})

    (Neal, 2001, arXiv physics/9803008, with the ratio of neighbouring densities of the path.) The transitions leave
    :math:`f_{\beta_t}` invariant, so that :math:`\mathbb{E}[w] = p(x)` for any number of them. They are reversible:
    the same chain run backward, from an exact sample of the posterior, has :math:`\mathbb{E}[1/w] = 1/p(x)`.

    Step sizes, one for each temperature and sequence, come from a preliminary run with noise of its own. They are
    fixed in both directions.

    Args:
        path: the tempered densities.
        temperatures: T.
        schedule: `sigmoid`, slow at both ends (Wu et al., 2017, arXiv 1611.04273), or `linear`.
        leapfrog_steps: of every transition.
        tuning: temperatures of the preliminary run, which passes each twice.
        listener: called with the name of the run, the transitions made and their total.
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
        # Step sizes must not adapt within a weighted run: a transition that depends on the chain's past does not leave
        # its density invariant. The preliminary run depends on x alone, not on the exact sample of the posterior: given
        # x, its step sizes are independent of that sample and of the noise of both runs, for which they are constants.
        # The runs do not start from its samples either, as the scale may depend on these.
        z, scale = path.start()
        self.transition = Hamiltonian(path.at, leapfrog_steps, scale)
        self.steps = self._tune(path.at(z), tuning if temperatures > 1 else 0)  # (tuning, B)

    def forward(self) -> Chains:
        """Chains from fresh samples of q."""
        z, _ = self.path.start()
        return self._run("forward", z, range(len(self.betas)))

    def backward(self, z: Tensor) -> Chains:
        """Chains from samples of the posterior, shape (S, B, N), with the weights of the chains in forward order."""
        return self._run("backward", z, range(len(self.betas))[::-1])

    def _run(self, name: str, z: Tensor, order: Sequence[int]) -> Chains:
        """Chains through the temperatures in a given order, forward or backward."""
        here, last = self.path.at(z), len(order) - 1
        log_weight, accepted = torch.zeros_like(here.log_start), torch.zeros_like(here.log_start)
        for count, (current, following) in enumerate(pairwise(order), 1):
            log_weight = log_weight + abs(self.betas[following] - self.betas[current]) * here.log_ratio
            if count < last:  # after the last weight no transition is needed
                here, acceptance = self.transition.move(here, self.betas[following], self._step(following))
                accepted = accepted + acceptance
                self._tell(name, count, last - 1)
        return Chains(log_weight, (accepted / (last - 1) if last > 1 else accepted * torch.nan).mean(0))

    def _tune(self, here: Point, count: int) -> Tensor:
        """Step sizes for `count` temperatures, shape (count, B), from a run up and down the temperatures.

        Adaptation lags behind: step sizes are too large on the way up and too small on the way down; their geometric
        mean is returned.
        """
        inner = points(count + 1, self.schedule)[1:-1]
        betas = [*inner[:1] * SETTLING, *inner, *inner[::-1]]
        log_step = torch.full_like(here.log_start[0], -0.25 * math.log(here.z.shape[-1]))  # (B,)
        history = []
        for count_made, beta in enumerate(betas, 1):
            here, acceptance = self.transition.move(here, beta, log_step.exp())
            log_step = log_step + GAIN * (acceptance.mean(0) - ACCEPTANCE)
            history.append(log_step)
            self._tell("tuning", count_made, len(betas))
        if not history:
            return log_step.new_empty(0, len(log_step))
        up, down = torch.stack(history[SETTLING:]).chunk(2)
        return (0.5 * (up + down.flip(0))).exp()

    def _step(self, index: int) -> Tensor:
        """Step size at a temperature: that of the nearest tuned one, shape (B,)."""
        tuned = len(self.steps)
        nearest = round(index / (len(self.betas) - 1) * (tuned + 1)) - 1
        return self.steps[min(max(nearest, 0), tuned - 1)]

    def _tell(self, name: str, done: int, total: int) -> None:
        if self.listener is not None:
            self.listener(name, done, total)


def points(temperatures: int, schedule: Schedule) -> list[float]:
    r"""Inverse temperatures from 0 to 1, the ends of `temperatures` intervals.

    .. math:: \beta_t = \frac{\sigma_t - \sigma_0}{\sigma_T - \sigma_0}, \qquad
              \sigma_t = \frac{1}{1 + e^{-\delta (2t/T - 1)}}
    """
    fractions = [t / temperatures for t in range(temperatures + 1)]
    if schedule == "linear":
        return fractions
    heights = [1 / (1 + math.exp(-STEEPNESS * (2 * fraction - 1))) for fraction in fractions]
    return [(height - heights[0]) / (heights[-1] - heights[0]) for height in heights]
