"""Method: majority vote over draws of z from a single fit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltm_pyro.generation import Answers, TokenPasses, thoughts_from_prior, thoughts_from_prompts, write
from ltm_pyro.suites.methods.answered import Answered
from ltm_pyro.suites.methods.solver import Solver
from ltm_pyro.suites.methods.vote import majority


def one_fit(solver: Solver, prompts: Tensor, counts: Sequence[int]) -> list[Answered]:
    """Answers by majority vote over n draws of z from one posterior inference, for each n.

    An attempt costs no fit, so that n attempts take far fewer token-passes than n of `vote`.

    Args:
        solver: objects and settings.
        prompts: token ids, shape (N, P).
        counts: every n.
    """
    passes = TokenPasses(len(prompts), prompts.device)
    texts: list[list[str]] = [[] for _ in prompts]
    spent: list[list[int]] = []
    for number in range(max(counts)):
        z = _first(solver, prompts, passes) if number == 0 else _drawn(solver, prompts)
        end = solver.tokenizer.eos_id
        answers = Answers.collect(write(solver.model, z, prompts, solver.tokens, solver.sampling, end), end)
        passes.add_written(prompts.shape[1], answers.lengths)
        spent.append(passes.spent.tolist())
        for row, text in enumerate(solver.texts(prompts, answers)):
            texts[row].append(text)
    return [
        Answered([majority(made[:count], solver.read) for made in texts], [count] * len(prompts), spent[count - 1])
        for count in counts
    ]


def _first(solver: Solver, prompts: Tensor, passes: TokenPasses) -> Tensor | None:
    """The first draws, after the fit."""
    if not prompts.shape[1]:
        return thoughts_from_prior(solver.model, len(prompts))
    with passes.reading(torch.full_like(prompts[:, 0], prompts.shape[1])):
        return thoughts_from_prompts(solver.model, solver.guide, solver.fast, prompts)


@torch.no_grad()
def _drawn(solver: Solver, prompts: Tensor) -> Tensor | None:
    """Further draws from the same fit."""
    if not prompts.shape[1]:
        return thoughts_from_prior(solver.model, len(prompts))
    z: Tensor = solver.guide(prompts)
    return z
