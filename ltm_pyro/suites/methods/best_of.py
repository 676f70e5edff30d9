"""Method: best of independent attempts by the model's own score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltm_pyro.suites.methods.answered import Answered
from ltm_pyro.suites.methods.independent import Attempt, independent_attempts, within
from ltm_pyro.suites.methods.solver import Solver


def best_of(solver: Solver, prompts: Tensor, budgets: Sequence[Tensor], score: str = "elbo") -> list[Answered]:
    """Answers of the independent attempt with the highest score, for each budget.

    A score costs token-passes: the ELBO of prompt and answer takes a fit to both. They count as the attempt's.

    Args:
        solver: objects and settings.
        prompts: token ids, shape (N, P).
        budgets: token-passes for each prompt, (N,) each.
        score: `elbo` or `predictive`, as `rethink` defines them.
    """
    attempts = independent_attempts(solver, prompts, torch.stack(list(budgets)).amax(0), score)
    found = []
    for budget in budgets:
        begun = [within(made, int(most)) for made, most in zip(attempts, budget, strict=True)]
        texts = [max(made, key=_score).text for made in begun]
        passes = [sum(attempt.passes for attempt in made) for made in begun]
        found.append(Answered(texts, [len(made) for made in begun], passes))
    return found


def _score(attempt: Attempt) -> float:
    return -float("inf") if attempt.score is None else attempt.score
