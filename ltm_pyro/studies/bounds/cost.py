"""The cost of a step: time beside the plainest ELBO's, memory kept for `backward`, decoder passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.bounds import ELBO, AbstractObjective
from ltm_pyro.errors import InputError
from ltm_pyro.inference import frozen
from ltm_pyro.studies.bounds.estimators import Estimator
from ltm_pyro.studies.bounds.passes import CountPasses
from ltm_pyro.studies.bounds.problem import Problem
from ltm_pyro.studies.bounds.reference import reference_objective
from ltm_pyro.studies.bounds.sizes import Sizes

Record = dict[str, Any]
BASELINE = "elbo S=1"


@dataclass
class Step:
    """A step that is timed: the gradient of an objective by γ with θ held (`fast`), or by θ with γ held (`slow`)."""

    problem: Problem
    objective: AbstractObjective
    fast: bool

    def run(self) -> None:
        """One gradient; what an optimizer adds to it is the same for all."""
        problem = self.problem
        rows, weights = problem.guide.local_parameters(), problem.weights()
        moving, held = (rows, weights) if self.fast else (weights, rows)
        with frozen(held):
            terms = self.objective.terms(problem.model, problem.guide, **problem.inputs)
            torch.autograd.grad(terms.objective.sum(), moving, allow_unused=True)


def measure_cost(problem: Problem, estimators: Sequence[Estimator], sizes: Sizes) -> list[Record]:
    """A record for each estimator at the one S: fast and slow step beside the reparameterised ELBO's with S=1.

    Where the guide cannot be reparameterised, the baseline is the plain ELBO with two samples and its score function.
    """
    problem.place()
    timed: dict[tuple[str, str], Step] = {}
    records, baseline = [], _baseline(problem)
    for kind in ("fast", "slow"):
        timed[kind, BASELINE] = Step(problem, baseline, kind == "fast")
    for estimator in estimators:
        record, steps = _untimed(problem, estimator, sizes.at_particles)
        records.append(record)
        timed.update({(kind, estimator.name): step for kind, step in steps.items()})
    seconds = alternately({key: step.run for key, step in timed.items()}, sizes.rounds, _device(problem))
    for record in records:
        for kind in ("fast", "slow"):
            found, plain = seconds.get((kind, record.get("estimator", ""))), seconds[kind, BASELINE]
            if found:
                ratios = [mine / other for mine, other in zip(found, plain, strict=True)]
                record.update({f"{kind}_time": median(ratios), f"{kind}_seconds": median(found)})
    return records


def alternately(tasks: dict[Any, Callable[[], None]], rounds: int, device: torch.device) -> dict[Any, list[float]]:
    """Seconds of every task in every round; the tasks take turns, so that what else the machine does hits all alike."""
    for task in tasks.values():
        task()
    seconds: dict[Any, list[float]] = {key: [] for key in tasks}
    for _ in range(rounds):
        for key, task in tasks.items():
            began = now(device)
            task()
            seconds[key].append(now(device) - began)
    return seconds


def now(device: torch.device) -> float:
    """A clock's seconds, once all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def saved_bytes(step: Callable[[], None], device: torch.device) -> int:
    """Memory of a step: the peak on CUDA; elsewhere what is kept for `backward`, each storage once."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    storages: dict[int, tuple[int, Any]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = (storage.nbytes(), storage)  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    return sum(size for size, _ in storages.values())


def count_passes(step: Callable[[], None]) -> int:
    """Decoder passes per sequence that a step takes."""
    with CountPasses() as counter:
        step()
    return counter.passes


def _untimed(problem: Problem, estimator: Estimator, particles: int) -> tuple[Record, dict[str, Step]]:
    known = {"estimator": estimator.name, "particles": estimator.only or particles}
    steps, record = {}, {"part": "cost", **known}
    try:
        objective = estimator.at(particles)
        for kind in kinds(problem, objective):
            step = Step(problem, objective, kind == "fast")
            record[f"{kind}_bytes"] = saved_bytes(step.run, _device(problem))
            record[f"{kind}_passes"] = count_passes(step.run)
            steps[kind] = step
    except InputError as error:
        return {"part": "refusal", **known, "reason": str(error)}, {}
    return {**record, "claim": objective.claim.value}, steps


def kinds(problem: Problem, objective: AbstractObjective) -> Iterable[str]:
    """Which steps an objective can take: `fast`, `slow`."""
    if problem.rows and not objective.refusal_of_fast_loop:
        yield "fast"
    if problem.weights() and not objective.refusal_of_slow_step:
        yield "slow"


def _baseline(problem: Problem) -> AbstractObjective:
    if problem.reparameterised:
        return ELBO()
    return reference_objective(ELBO(particles=2), reparameterised=False) or ELBO(particles=2)


def _device(problem: Problem) -> torch.device:
    return problem.inputs["x"].device
