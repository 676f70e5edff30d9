"""Method: the likeliest tokens of the decoder without thoughts."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.generation import Answers, Sampling, TokenPasses, write_at_zero
from ltm_pyro.suites.methods.answered import Answered
from ltm_pyro.suites.methods.solver import Solver


def greedy(solver: Solver, prompts: Tensor) -> Answered:
    """Answers of the decoder at z = 0, its twin without thoughts, by the likeliest token at each step; no inference.

    Args:
        solver: objects and settings.
        prompts: token ids, shape (N, P).
    """
    end, passes = solver.tokenizer.eos_id, TokenPasses(len(prompts), prompts.device)
    answers = Answers.collect(write_at_zero(solver.model, prompts, solver.tokens, Sampling(0), end), end)
    passes.add_written(prompts.shape[1], answers.lengths)
    return Answered(solver.texts(prompts, answers), [1] * len(prompts), passes.spent.tolist())
