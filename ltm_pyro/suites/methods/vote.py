"""Method: majority vote over independent attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from ltm_pyro.suites.methods.answered import Answered
from ltm_pyro.suites.methods.independent import independent_attempts, within
from ltm_pyro.suites.methods.solver import Solver


def vote(solver: Solver, prompts: Tensor, budgets: Sequence[Tensor]) -> list[Answered]:
    """Answers by majority vote (self-consistency: Wang et al., 2023, arXiv 2203.11171), for each budget.

    Every attempt has a posterior inference of its own, as in `independent_attempts`.

    Args:
        solver: objects and settings.
        prompts: token ids, shape (N, P).
        budgets: token-passes for each prompt, (N,) each.
    """
    attempts = independent_attempts(solver, prompts, torch.stack(list(budgets)).amax(0))
    found = []
    for budget in budgets:
        begun = [within(made, int(most)) for made, most in zip(attempts, budget, strict=True)]
        texts = [majority([attempt.text for attempt in made], solver.read) for made in begun]
        passes = [sum(attempt.passes for attempt in made) for made in begun]
        found.append(Answered(texts, [len(made) for made in begun], passes))
    return found


def majority(texts: Sequence[str], read: Callable[[str], Hashable | None]) -> str:
    """The first text with the most common result; of equally common ones the earliest, and the first text without any.

    Args:
        texts: at least one.
        read: from a text to its result, or None.
    """
    results = [read(text) for text in texts]
    counts = Counter(result for result in results if result is not None)  # in the order of their first occurrence
    return texts[results.index(counts.most_common(1)[0][0])] if counts else texts[0]
