"""The bound against the number of fast steps: inference-time compute as a dial."""

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
    """The bounds that so many fast steps give.

    Attributes:
        steps: T_fast.
        elbo, importance_weighted: scores with fresh noise, both bounds.
        kl_per_token: nats per token.
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
    """Fit q from its start with each number of steps, and score it with noise of its own.

    A cosine of the step size lasts as long as the steps do, so that each number is a fit that was meant to end there.

    Args:
        model, guide, fast: as for `Evaluator`.
        batches: texts, on the model's device.
        steps: to try.
        draws: S.
        seed: of all noise, the same for each.
        listener: told how many settings are done.
    """
    found = []
    for wanted in steps:
        numbers = Evaluator(model, guide, fast.lasting(wanted), draws, seed, halves=False).evaluate(batches)
        scores = numbers.scores
        found.append(StepSweepPoint(wanted, scores["elbo"], scores["importance_weighted"], numbers.kl_per_token))
        listener(len(found))
    return found
