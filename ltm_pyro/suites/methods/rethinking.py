"""Method: rethinking."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltm_pyro.generation import Answers
from ltm_pyro.suites.methods.answered import Answered
from ltm_pyro.suites.methods.solver import Solver


def rethinking(solver: Solver, prompts: Tensor, rounds: Sequence[int], keep: str = "last") -> list[Answered]:
    """Answers after R rounds of rethinking, for each R: the first rounds of one trace.

    Args:
        solver: objects and settings.
        prompts: token ids, shape (N, P).
        rounds: every R.
        keep: the rule that keeps a round's answer.
    """
    whole = solver.trace(prompts, max(rounds), keep)
    found = []
    for count in rounds:
        trace = whole.until(count)
        answers = _kept(trace.kept, [part.answers for part in trace.rounds])
        attempts = [count + 1] * len(prompts)
        found.append(Answered(solver.texts(prompts, answers), attempts, trace.passes.tolist()))
    return found


def _kept(kept: Tensor, rounds: Sequence[Answers]) -> Answers:
    """The answers of the kept rounds, (N,), padded to the longest."""
    rows = [rounds[number].tokens[row] for row, number in enumerate(kept.tolist())]
    lengths = torch.stack([rounds[number].lengths[row] for row, number in enumerate(kept.tolist())])
    return Answers(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)
