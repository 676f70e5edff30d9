"""Inference curves: each estimator fits q from a cold start, measured by the same bounds for all."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch

from ltm_pyro.bounds import AbstractObjective, Terms
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.inference import FastLoop
from ltm_pyro.studies.bounds.cost import now
from ltm_pyro.studies.bounds.estimators import Estimator
from ltm_pyro.studies.bounds.passes import CountPasses
from ltm_pyro.studies.bounds.problem import Problem
from ltm_pyro.studies.bounds.sizes import Sizes
from ltm_pyro.studies.bounds.tightness import ratio_error

Record = dict[str, Any]


def inference_curve(problem: Problem, estimator: Estimator, sizes: Sizes, seed: int) -> list[Record]:
    """Records of the bounds of q after a number of passes and seconds, measured with fresh noise at several points.

    Every estimator gets the same number of decoder passes per sequence, so that an estimator with more particles takes
    fewer steps. The loop's optimizer and schedule span these steps. Passes and seconds exclude the measurements.

    Args:
        problem: the problem; the fit starts cold.
        estimator: objective of the fast loop.
        sizes: budget, and sizes of the measurements.
        seed: seed of the noise of all measurements, the same at every point and for every estimator.
    """
    identity = {"estimator": estimator.name, "particles": estimator.only or sizes.at_particles}
    try:
        objective = estimator.at(sizes.at_particles)
        loop = loop_with(problem.fast, objective)
        with CountPasses() as counter:
            loop.lasting(1).fit(problem.model, problem.guide, **problem.inputs)
    except InputError as error:
        return [{"part": "refusal", **identity, "reason": str(error)}]
    passes_per_step = max(1, counter.passes)
    steps = max(1, sizes.inference_passes // passes_per_step)
    watch = Watched(objective, problem, points_of(steps, sizes.measures), sizes, seed)
    loop = loop.lasting(steps)
    loop.bound = watch  # type: ignore[assignment]
    watch.resume()
    loop.fit(problem.model, problem.guide, **problem.inputs)
    watch.finish()
    identity |= {"bound": estimator.bound, "claim": objective.claim.value, "unit": problem.unit}
    return [
        {"part": "inference", **identity, "passes": point["step"] * passes_per_step, **point} for point in watch.points
    ]


class Watched:
    """Objective wrapper that measures q at given steps of a loop; its clock stops during measurements.

    Args:
        objective: the objective of the loop.
        problem: the problem whose q is measured.
        at: numbers of steps after which q is measured.
        sizes, seed: sizes and seed of the measurements.
    """

    def __init__(
        self, objective: AbstractObjective, problem: Problem, at: Sequence[int], sizes: Sizes, seed: int
    ) -> None:
        self.objective, self.problem, self.at, self.sizes, self.seed = objective, problem, set(at), sizes, seed
        self.step, self.seconds, self.points = 0, 0.0, list[Record]()
        self.device = problem.inputs["x"].device

    def resume(self) -> None:
        """Start the clock."""
        self.began = now(self.device)

    def terms(self, model: Any, guide: Any, **inputs: Any) -> Terms:
        """Terms of the objective, after a measurement if one is due."""
        if self.step in self.at:
            self._measure()
        self.step += 1
        return self.objective.terms(model, guide, **inputs)

    def finish(self) -> None:
        """Measure q at the end of the loop."""
        self._measure()

    def _measure(self) -> None:
        self.seconds += now(self.device) - self.began
        self.points.append({"step": self.step, "seconds": self.seconds, **honest(self.problem, self.sizes, self.seed)})
        self.resume()


def honest(problem: Problem, sizes: Sizes, seed: int) -> Record:
    """ELBO and importance-weighted bound of the current guide, with fresh noise that is the same for all estimators."""
    from ltm_pyro.evaluation.log_weights import under_posterior

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        at_once = max(1, sizes.at_once // len(problem))
        samples = under_posterior(problem.model, problem.guide, sizes.measure_draws, at_once, **problem.inputs)
    elbo = samples.log_likelihood.double().mean(0) - samples.kl.double()
    weighted = log_mean_exp(samples.log_weight.double())
    return {
        "elbo": float(problem.per_unit(elbo)),
        "elbo_error": ratio_error(elbo, problem.scale),
        "importance_weighted": float(problem.per_unit(weighted)),
        "importance_weighted_error": ratio_error(weighted, problem.scale),
        "measure_draws": sizes.measure_draws,
        "sequences": len(problem),
    }


def loop_with(fast: FastLoop, objective: AbstractObjective) -> FastLoop:
    """Copy of a fast loop with another objective.

    Raises:
        InputError: if the fast loop cannot optimise the objective.
    """
    if objective.refusal_of_fast_loop:
        raise InputError(objective.refusal_of_fast_loop)
    loop = copy(fast)
    loop.bound = objective
    return loop


def points_of(steps: int, count: int) -> list[int]:
    """Evenly spaced steps to measure at, from the first; the last step is always measured in addition."""
    return sorted({round(i * steps / (count - 1)) for i in range(count - 1)})
