"""Learning as it goes on: each estimator trains the same model from the same start, and one bound measures them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch

from ltm_pyro.bounds import ELBO, AbstractObjective
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.inference import DualRateSVI, FastLoop, NonFiniteError, SlowStep
from ltm_pyro.studies.bounds.cost import now
from ltm_pyro.studies.bounds.curves import honest, loop_with
from ltm_pyro.studies.bounds.estimators import Estimator
from ltm_pyro.studies.bounds.passes import CountPasses
from ltm_pyro.studies.bounds.problem import Problem
from ltm_pyro.studies.bounds.sizes import Sizes

Record = dict[str, Any]
Start = Callable[[], tuple[torch.nn.Module, Any, FastLoop, SlowStep]]


@dataclass(frozen=True)
class Learning:
    """The data that estimators learn from, and for how long.

    Attributes:
        start: makes model, guide, fast loop and slow step, with the same initial weights each time.
        batches: begins the training batches anew, the same each time.
        judge: the fast loop that fits q wherever learning is measured.
        passes: decoder passes through training sequences, forward, that each estimator may spend; None is no limit.
        seconds: the same in seconds.
    """

    start: Start
    batches: Callable[[], Iterable[Batch]]
    judge: FastLoop
    passes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.passes is None and self.seconds is None:
            raise InputError("learning needs a budget: give passes or seconds")


def learning_curve(problem: Problem, estimator: Estimator, sizes: Sizes, learning: Learning, seed: int) -> list[Record]:
    """A record for each point of dual-rate training with an estimator in both loops.

    What γ or θ cannot follow is replaced by the ELBO there, and the record says so: upper bounds are for the fast
    loop alone, the jackknife for the slow step alone. The slow rate rises as the run's does, and stays.

    Args:
        problem: the held-out sequences; its model and guide are not used.
        estimator, sizes: as for `inference_curve`.
        learning: start, batches and budget.
        seed: of the noise of all measurements.
    """
    known = {"estimator": estimator.name, "particles": estimator.only or sizes.at_particles}
    try:
        objective = estimator.at(sizes.at_particles)
        training = _Training(problem, objective, sizes, learning, seed)
        training.run()
    except InputError as error:
        return [{"part": "refusal", **known, "reason": str(error)}]
    except NonFiniteError as error:
        known["ended"] = f"after {training.step} steps, since {error}"
    known |= {"bound": estimator.bound, "claim": objective.claim.value, "unit": problem.unit}
    known |= {"fast": training.svi.fast.bound.name, "slow": training.slow.bound.name}
    return [{"part": "learning", **known, **point} for point in training.points]


class _Training:
    """Dual-rate learning with a clock and a counter that stand still while it is measured."""

    def __init__(
        self, problem: Problem, objective: AbstractObjective, sizes: Sizes, learning: Learning, seed: int
    ) -> None:
        model, guide, fast, slow = learning.start()
        self.problem, self.sizes, self.learning, self.seed = problem, sizes, learning, seed
        self.slow = copy(slow)
        self.slow.steps, self.slow.bound = None, ELBO() if objective.refusal_of_slow_step else objective
        fast = loop_with(fast, ELBO() if objective.refusal_of_fast_loop else objective)
        self.svi = DualRateSVI(model, guide, fast, self.slow)
        self.step, self.passes, self.seconds = 0, 0, 0.0
        self.points: list[Record] = []

    def run(self) -> None:
        """Learn until the budget is spent, measured at the start, at the end and at even parts of the budget."""
        self._measure()
        batches: Iterator[Batch] = iter(self.learning.batches())
        due = 1
        while self._spent() < 1:
            self._learn(next(batches))
            if self._spent() >= due / (self.sizes.measures - 1):
                self._measure()
                due = int(self._spent() * (self.sizes.measures - 1)) + 1

    def _spent(self) -> float:
        """The share of the budget that is used, of whichever runs out first."""
        limits = [(self.passes, self.learning.passes), (self.seconds, self.learning.seconds)]
        return max(used / most for used, most in limits if most)

    def _learn(self, batch: Batch) -> None:
        device = self.problem.inputs["x"].device
        batch = batch.to(device)
        self.svi.model.train()
        began = now(device)
        with CountPasses() as counter:
            self.svi.step(**batch.inputs)
        self.seconds += now(device) - began
        self.passes += counter.passes * len(batch.x)
        self.step += 1

    def _measure(self) -> None:
        model, guide = self.svi.model, self.svi.guide
        model.eval()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(self.seed)
            self.learning.judge.fit(model, guide, **self.problem.inputs)
        judged = copy(self.problem)
        judged.model, judged.guide = model, guide
        point = {"step": self.step, "passes": self.passes, "seconds": self.seconds}
        self.points.append({**point, **honest(judged, self.sizes, self.seed)})
