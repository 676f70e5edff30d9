"""Attempts at a problem, and their judgement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ltm_pyro.suites.gsm8k.answers import final_number_written, occurs
from ltm_pyro.suites.gsm8k.problems import Problem
from ltm_pyro.suites.gsm8k.prompts import Prompt


class Attempted(NamedTuple):
    """Problem with the attempts at it.

    Attributes:
        prompt: prompt of the attempts.
        problem: the problem.
        other: another problem of the set, whose answer occurs in these texts by chance alone.
        texts: generated text of each attempt, without the prompt.
    """

    prompt: Prompt
    problem: Problem
    other: Problem
    texts: Sequence[str]


def judged(attempted: Attempted) -> dict[str, Any]:
    """Record of the attempts: counts of right answers, by the number after `####` and by the lenient criterion."""
    numbers = [final_number_written(text) for text in attempted.texts]
    return {
        "attempts": len(numbers),
        "answered": sum(number is not None for number in numbers),
        "right": sum(number == attempted.problem.number for number in numbers),
        "occurs": sum(occurs(attempted.problem.gold, text) for text in attempted.texts),
        "occurs_by_chance": sum(occurs(attempted.other.gold, text) for text in attempted.texts),
        "gold": attempted.problem.gold,
        "demonstrations": attempted.prompt.shown,
        "question_cut": attempted.prompt.cut,
        "texts": list(attempted.texts),
    }
