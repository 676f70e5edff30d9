"""Learning curves: each estimator trains the same model from the same start, measured by the same bounds for all."""

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
    """Data and budget of the learning curves.

    Attributes:
        start: function that makes model, guide, fast loop and slow step, with the same initial weights each time.
        batches: function that restarts the training batches, the same each time.
        judge: fast loop that fits q for the measurements.
        passes: budget of forward decoder passes through training sequences for each estimator; None for no limit.
        seconds: budget in seconds; None for no limit.
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
    """Records of points of dual-rate training with an estimator in both loops.

    The ELBO replaces an objective in the loop that cannot optimise it, as the record tells: upper bounds serve the fast
    loop only, the jackknife the slow step only. The slow rate has the run's warmup, and is constant afterwards.

    Args:
        problem: held-out sequences; its model and guide are not used.
        estimator, sizes: as for `inference_curve`.
        learning: start, batches and budget.
        seed: seed of the noise of all measurements.
    """
    identity = {"estimator": estimator.name, "particles": estimator.only or sizes.at_particles}
    try:
        objective = estimator.at(sizes.at_particles)
        training = _Training(problem, objective, sizes, learning, seed)
        training.run()
    except InputError as error:
        return [{"part": "refusal", **identity, "reason": str(error)}]
    except NonFiniteError as error:
        identity["ended"] = f"after {training.step} steps, since {error}"
    identity |= {"bound": estimator.bound, "claim": objective.claim.value, "unit": problem.unit}
    identity |= {"fast": training.svi.fast.bound.name, "slow": training.slow.bound.name}
    return [{"part": "learning", **identity, **point} for point in training.points]


class _Training:
    """Dual-rate training with a clock and a counter of passes that exclude the measurements."""

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
        """Train until the budget is spent; measure at the start, at the end and at even parts of the budget."""
        self._measure()
        batches: Iterator[Batch] = iter(self.learning.batches())
        due = 1
        while self._spent() < 1:
            self._learn(next(batches))
            if self._spent() >= due / (self.sizes.measures - 1):
                self._measure()
                due = int(self._spent() * (self.sizes.measures - 1)) + 1

    def _spent(self) -> float:
        """Share of the budget that is spent, the larger of passes and seconds."""
        limits = [(self.passes, self.learning.passes), (self.seconds, self.learning.seconds)]
        return max(used / limit for used, limit in limits if limit)

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
