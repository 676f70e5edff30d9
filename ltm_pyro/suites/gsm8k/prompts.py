"""Few-shot prompts: answered problems, then the problem to solve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ltm_pyro.suites.gsm8k.problems import Problem


class Prompt(NamedTuple):
    """Few-shot prompt.

    Attributes:
        tokens: token ids.
        shown: number of demonstrations that fit.
        cut: True if the question itself was too long, and lost its beginning.
    """

    tokens: list[int]
    shown: int
    cut: bool


def few_shot_prompt(
    demonstrations: Sequence[Problem], problem: Problem, encode: Callable[[str], Iterable[int]], room: int
) -> Prompt:
    """Prompt of demonstrations and a question; the first demonstrations are left out if they do not fit.

    Args:
        demonstrations: answered problems.
        problem: the problem to solve; its answer is not shown.
        encode: function from text to token ids.
        room: largest number of tokens.
    """
    question = f"Question: {problem.question}\nAnswer:"
    for dropped in range(len(demonstrations) + 1):
        fitting = demonstrations[dropped:]
        shots = "".join(f"Question: {shot.question}\nAnswer: {shot.answer}\n\n" for shot in fitting)
        tokens = [int(token) for token in encode(shots + question)]
        if len(tokens) <= room:
            return Prompt(tokens, len(fitting), False)
    return Prompt(tokens[-room:], 0, True)
