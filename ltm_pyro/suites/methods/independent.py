"""Independent attempts within a budget of token-passes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ltm_pyro.suites.methods.solver import Solver


class Attempt(NamedTuple):
    """One attempt at a prompt.

    Attributes:
        text: the answer.
        passes: token-passes of this attempt, and of its score if it has one.
        score: in nats; None without a rule that needs it.
    """

    text: str
    passes: int
    score: float | None = None


def independent_attempts(solver: Solver, prompts: Tensor, budget: Tensor, keep: str = "last") -> list[list[Attempt]]:
    """Attempts at each prompt, with a posterior inference each, begun while the token-passes spent are below a budget.

    The last attempt is finished, so that the passes may exceed the budget by less than one attempt.

    Args:
        solver: objects and settings.
        prompts: token ids, shape (N, P).
        budget: token-passes for each prompt, (N,).
        keep: the rule whose score each attempt has; `last` has none.
    """
    attempts: list[list[Attempt]] = [[] for _ in prompts]
    spent = torch.zeros_like(budget)
    while bool((open_rows := spent < budget).any()):
        rows = open_rows.nonzero().squeeze(-1)
        trace = solver.trace(prompts[rows], keep=keep)
        passes = trace.passes
        scores = [None] * len(rows) if keep == "last" else trace.scores(keep)[0].tolist()
        texts = solver.texts(prompts[rows], trace.rounds[0].answers)
        for row, *attempt in zip(rows.tolist(), texts, passes.tolist(), scores, strict=True):
            attempts[row].append(Attempt(*attempt))
        spent[rows] += passes
    return attempts


def within(attempts: list[Attempt], budget: int) -> list[Attempt]:
    """The attempts that are begun before a budget is spent: those of a smaller budget are the first of a larger one."""
    begun, spent = [], 0
    for attempt in attempts:
        if spent >= budget:
            break
        begun.append(attempt)
        spent += attempt.passes
    return begun
