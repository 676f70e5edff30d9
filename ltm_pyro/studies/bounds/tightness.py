"""Tightness of each bound at each S, from common log-weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltm_pyro.bounds import AbstractObjective, Claim
from ltm_pyro.bounds.weights import effective_sample_size
from ltm_pyro.evaluation.pareto import pareto_k
from ltm_pyro.studies.bounds.estimators import Estimator
from ltm_pyro.studies.bounds.problem import Problem
from ltm_pyro.studies.bounds.sizes import Sizes

Record = dict[str, Any]


def measure_tightness(problem: Problem, estimators: Sequence[Estimator], sizes: Sizes) -> list[Record]:
    """Records of every bound's value at every S, and of the reliability of the weights.

    q is fitted once. The same `repeats` sets of log-weights with the largest S serve all bounds and all S: each set is
    cut into disjoint groups of S, so that differences between rows are paired.
    """
    problem.fit()
    largest = max([*sizes.particles, *(estimator.only or 1 for estimator in estimators)])
    log_w = draw_log_weights(problem, largest, sizes)
    return [*tightness_records(log_w, problem, estimators, sizes), *weight_records(log_w, problem)]


def draw_log_weights(problem: Problem, particles: int, sizes: Sizes) -> Tensor:
    """Log-weights of independent sets of fresh samples, shape (R, S, B), float64."""
    at_once = max(1, sizes.at_once // len(problem))
    return torch.stack([problem.draws(particles, at_once).log_weight.double() for _ in range(sizes.repeats)])


def tightness_records(log_w: Tensor, problem: Problem, estimators: Sequence[Estimator], sizes: Sizes) -> list[Record]:
    """Records of each bound at each S; objectives that neither bound nor estimate log p(x) are left out.

    Args:
        log_w: log-weights, shape (R, S, B), with the largest S.
    """
    elbo = log_w.mean((0, 1))  # (B,)
    records, bounds = [], set()
    for estimator in estimators:
        if estimator.bound in bounds:
            continue
        bounds.add(estimator.bound)
        for objective in estimator.allowed(sizes.particles):
            if objective.claim is not Claim.NONE and objective.is_function_of_weights:
                values = values_of_groups(objective.value, log_w, objective.particles)
                records.append({**_named(estimator, objective), **_summary(values, elbo, problem)})
    return records


def values_of_groups(value: Callable[[Tensor], Tensor], log_w: Tensor, particles: int) -> Tensor:
    """Values of a bound on disjoint groups of S log-weights, (R, S_max, B) -> (groups, B)."""
    groups = log_w.shape[1] // particles
    values = []
    for log_w_set in log_w:  # a set at a time: some bounds evaluate every subset of the particles
        columns = log_w_set[: groups * particles].unflatten(0, (groups, particles)).transpose(0, 1)  # (S, groups, B)
        values.append(value(columns.flatten(1)).view(groups, -1))
    return torch.cat(values)


def weight_records(log_w: Tensor, problem: Problem) -> list[Record]:
    """Records of the effective sample size and the k-hat of every sequence.

    Args:
        log_w: log-weights, shape (R, S, B); the effective sample size is that of S draws, mean over R; k-hat is from
            all R·S draws.
    """
    size = torch.stack([effective_sample_size(log_w_set) for log_w_set in log_w]).mean(0)  # (B,)
    k = pareto_k(log_w.flatten(0, 1).cpu().numpy())
    count, total = log_w.shape[1], log_w.shape[0] * log_w.shape[1]
    return [
        {
            "part": "weights",
            "sequence": number,
            "particles": count,
            "effective_sample_size": float(size[number]),
            "pareto_k": float(k[number]),
            "draws": total,
        }
        for number in range(len(problem))
    ]


def _named(estimator: Estimator, objective: AbstractObjective) -> Record:
    return {
        "part": "tightness",
        "bound": estimator.bound,
        "equation": f"{objective.name}({objective.extra_repr()}particles={objective.particles})",
        "particles": objective.particles,
        "claim": objective.claim.value,
    }


def _summary(values: Tensor, elbo: Tensor, problem: Problem) -> Record:
    """Mean value with its two errors, its distance from the ELBO, and from log p(x) if that is known."""
    mean = values.mean(0)  # (B,)
    over_draws = (values.var(0) / len(values)).sum().sqrt() / problem.scale.sum() if len(values) > 1 else math.nan
    record = {
        "unit": problem.unit,
        "value": float(problem.per_unit(mean)),
        "error_over_sequences": ratio_error(mean, problem.scale),
        "error_over_draws": float(over_draws),
        "above_elbo": float(problem.per_unit(mean - elbo)),
        "above_elbo_error": ratio_error(mean - elbo, problem.scale),
        "sequences": len(mean),
        "draws": len(values),
    }
    if problem.evidence is not None:
        record["log_evidence"] = float(problem.per_unit(problem.evidence))
        record["gap"] = float(problem.per_unit(problem.evidence - mean))
    return record


def ratio_error(above: Tensor, below: Tensor) -> float:
    """Standard error of Σ above / Σ below over independent sequences; NaN for a single one."""
    a, b = above.double().cpu().numpy(), below.double().cpu().numpy()
    if len(a) < 2:
        return math.nan
    residual = a - b * (a.sum() / b.sum())
    return float(np.sqrt(len(a) / (len(a) - 1) * (residual**2).sum()) / b.sum())
