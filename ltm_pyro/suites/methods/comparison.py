"""Comparison of the methods on prompts, at equal decoder passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.suites.methods.answered import Answered
from ltm_pyro.suites.methods.best_of import best_of
from ltm_pyro.suites.methods.greedy import greedy
from ltm_pyro.suites.methods.one_fit import one_fit
from ltm_pyro.suites.methods.rethinking import rethinking
from ltm_pyro.suites.methods.solver import Solver
from ltm_pyro.suites.methods.vote import vote
from ltm_pyro.training.randomness import seed_torch


def compare(
    solver: Solver, prompts: Tensor, rounds: Sequence[int], keep: str = "last", seed: Sequence[int] = (0,)
) -> list[list[dict[str, Any]]]:
    """Answers of all methods to prompts, each control with the token-passes that rethinking took on the same prompt.

    The controls are a majority vote over independent attempts; the best of them by `keep` (if that is `last`, by the
    ELBO, or without a density by the predictive score); a vote over as many draws of z from one fit as rethinking
    writes answers; and the likeliest tokens of the decoder at z = 0. With R = 0 there is one attempt and no choice.

    Args:
        solver: objects and settings.
        prompts: token ids, shape (N, P).
        rounds: every R of rethinking.
        keep: the rule that keeps a round's answer.
        seed: whole numbers of which the noise is made, further divided by method.

    Returns:
        For each prompt its records: `method`, `rounds` (None for the decoder at z = 0), `answer`, `attempts` and
        `passes`.
    """
    score = keep if keep != "last" else "elbo" if solver.guide.has_density else "predictive"
    several = [count for count in rounds if count > 0]
    records: list[list[dict[str, Any]]] = [[] for _ in prompts]

    def note(method: str, counts: Sequence[int | None], found: Sequence[Answered]) -> None:
        for count, answered in zip(counts, found, strict=True):
            for row, (text, attempts, passes) in enumerate(zip(*answered, strict=True)):
                numbers = {"answer": text, "attempts": attempts, "passes": passes}
                records[row].append({"method": method, "rounds": count, **numbers})

    seed_torch(*seed, 0)
    rethought = rethinking(solver, prompts, rounds, keep)
    note(f"rethinking-{keep}", rounds, rethought)
    if several:
        budgets = [torch.tensor(rethought[rounds.index(count)].passes, device=prompts.device) for count in several]
        seed_torch(*seed, 1)
        note("vote", several, vote(solver, prompts, budgets))
        seed_torch(*seed, 2)
        note(f"best-{score}", several, best_of(solver, prompts, budgets, score))
        seed_torch(*seed, 3)
        note("one-fit", several, one_fit(solver, prompts, [count + 1 for count in several]))
    note("greedy", [None], [greedy(solver, prompts)])
    return records
