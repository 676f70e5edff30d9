"""A problem behind others that are answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ltm_pyro.suites.gsm8k.problems import Problem


class Prompt(NamedTuple):
    """A prompt of a model.

    Attributes:
        tokens: ids.
        shown: how many demonstrations there was room for.
        cut: whether the question itself was too long, and lost its beginning.
    """

    tokens: list[int]
    shown: int
    cut: bool


def few_shot_prompt(
    demonstrations: Sequence[Problem], problem: Problem, encode: Callable[[str], Iterable[int]], room: int
) -> Prompt:
    """Demonstrations, then the question; where they do not fit, the first demonstrations are left out.

    Args:
        demonstrations: answered.
        problem: whose answer is asked for, and not shown.
        encode: text to token ids.
        room: the most tokens.
    """
    asked = f"Question: {problem.question}\nAnswer:"
    for dropped in range(len(demonstrations) + 1):
        kept = demonstrations[dropped:]
        shown = "".join(f"Question: {one.question}\nAnswer: {one.answer}\n\n" for one in kept)
        tokens = [int(token) for token in encode(shown + asked)]
        if len(tokens) <= room:
            return Prompt(tokens, len(kept), False)
    return Prompt(tokens[-room:], 0, True)
