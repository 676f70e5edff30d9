"""Bounds by the number of fast steps, the compute of inference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ltm_pyro.data import Batch
from ltm_pyro.evaluation.evaluator import Evaluator
from ltm_pyro.evaluation.score import Score
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel

STEPS = (0, 1, 2, 4, 8, 16, 32, 64)


class StepSweepPoint(NamedTuple):
    """Bounds after a given number of fast steps.

    Attributes:
        steps: T_fast.
        elbo, importance_weighted: the two bounds, scored with fresh noise.
        kl_per_token: KL(q || p), nats per token.
    """

    steps: int
    elbo: Score
    importance_weighted: Score
    kl_per_token: float


def bound_by_steps(
    model: AbstractModel,
    guide: Any,
    fast: FastLoop,
    batches: Sequence[Batch],
    steps: Iterable[int] = STEPS,
    draws: int = 4,
    seed: int = 0,
    listener: Callable[[int], None] = lambda done: None,
) -> list[StepSweepPoint]:
    """Fit q from its start with each number of steps, and score each fit with fresh noise.

    A cosine schedule of the step size spans exactly these steps, so that every fit ends with its schedule.

    Args:
        model, guide, fast: as for `Evaluator`.
        batches: texts, on the model's device.
        steps: numbers of fast steps.
        draws: S.
        seed: seed of all noise, the same for each number of steps.
        listener: called with the number of finished settings.
    """
    points = []
    for count in steps:
        numbers = Evaluator(model, guide, fast.lasting(count), draws, seed, halves=False).evaluate(batches)
        scores = numbers.scores
        points.append(StepSweepPoint(count, scores["elbo"], scores["importance_weighted"], numbers.kl_per_token))
        listener(len(points))
    return points
