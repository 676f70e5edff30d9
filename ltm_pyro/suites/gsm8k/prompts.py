"""Prompts: answered problems and then the problem to solve, or its question alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ltm_pyro.data import joined_prompt
from ltm_pyro.suites.gsm8k.problems import Problem

Encode = Callable[[str], Iterable[int]]  # from text to token ids


class Prompt(NamedTuple):
    """Prompt of a problem.

    Attributes:
        tokens: token ids.
        shown: number of demonstrations that fit.
        cut: True if the question itself was too long, and lost its beginning.
    """

    tokens: list[int]
    shown: int
    cut: bool


def few_shot_prompt(demonstrations: Sequence[Problem], problem: Problem, encode: Encode, room: int) -> Prompt:
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


MakePrompt = Callable[[Sequence[Problem], Problem, Encode, int], Prompt]


def own_prompt(
    demonstrations: Sequence[Problem], problem: Problem, encode: Encode, room: int, separator: str
) -> Prompt:
    """Prompt of a run of prompts and answers: the question as the run's own prompts are, without demonstrations.

    Args:
        demonstrations: none.
        problem, encode, room: as for `few_shot_prompt`.
        separator: characters between a prompt and its answer in the run's corpus.
    """
    tokens = [int(token) for token in encode(joined_prompt(problem.question, separator))]
    return Prompt(tokens[-room:], len(demonstrations), len(tokens) > room)
