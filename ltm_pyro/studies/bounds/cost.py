"""Cost of a step: time relative to the ELBO's with S=1, memory kept for `backward`, decoder passes."""

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
    """Timed step: the gradient of an objective by γ with θ fixed (`fast`), or by θ with γ fixed (`slow`)."""

    problem: Problem
    objective: AbstractObjective
    fast: bool

    def run(self) -> None:
        """Compute the gradient once, without the optimizer's update, which costs the same for all objectives."""
        problem = self.problem
        rows, weights = problem.guide.local_parameters(), problem.weights()
        moving, fixed = (rows, weights) if self.fast else (weights, rows)
        with frozen(fixed):
            terms = self.objective.terms(problem.model, problem.guide, **problem.inputs)
            torch.autograd.grad(terms.objective.sum(), moving, allow_unused=True)


def measure_cost(problem: Problem, estimators: Sequence[Estimator], sizes: Sizes) -> list[Record]:
    """Records of the cost of all estimators at S = `at_particles`, relative to the reparameterised ELBO with S=1.

    If the guide cannot be reparameterised, the baseline is the ELBO with two samples and score-function gradients.
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
            times, reference = seconds.get((kind, record.get("estimator", ""))), seconds[kind, BASELINE]
            if times:
                ratios = [time / base for time, base in zip(times, reference, strict=True)]
                record.update({f"{kind}_time": median(ratios), f"{kind}_seconds": median(times)})
    return records


def alternately(tasks: dict[Any, Callable[[], None]], rounds: int, device: torch.device) -> dict[Any, list[float]]:
    """Seconds of every task in every round; tasks take turns, so that other load on the machine affects all alike."""
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
    """Seconds of a clock, after the device has finished all pending work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def saved_bytes(step: Callable[[], None], device: torch.device) -> int:
    """Memory of a step: the peak on CUDA, else the storages kept for `backward`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    storages: dict[int, tuple[int, Any]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = (storage.nbytes(), storage)  # referenced, so that no address is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    return sum(size for size, _ in storages.values())


def count_passes(step: Callable[[], None]) -> int:
    """Number of decoder passes per sequence in a step."""
    with CountPasses() as counter:
        step()
    return counter.passes


def _untimed(problem: Problem, estimator: Estimator, particles: int) -> tuple[Record, dict[str, Step]]:
    identity = {"estimator": estimator.name, "particles": estimator.only or particles}
    steps, record = {}, {"part": "cost", **identity}
    try:
        objective = estimator.at(particles)
        for kind in kinds(problem, objective):
            step = Step(problem, objective, kind == "fast")
            record[f"{kind}_bytes"] = saved_bytes(step.run, _device(problem))
            record[f"{kind}_passes"] = count_passes(step.run)
            steps[kind] = step
    except InputError as error:
        return {"part": "refusal", **identity, "reason": str(error)}, {}
    return {**record, "claim": objective.claim.value}, steps


def kinds(problem: Problem, objective: AbstractObjective) -> Iterable[str]:
    """Kinds of step that an objective supports: `fast`, `slow`."""
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
