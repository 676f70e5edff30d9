"""Checkers of answers, by name."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from ltm_pyro.suites.gsm8k.answers import final_number, final_number_written
from ltm_pyro.suites.sums import is_right

CheckerName = Literal["sums", "number"]


class Verdict(Protocol):
    """Function of a question, an answer and the right answer (empty if unknown), True if the answer is right."""

    def __call__(self, question: str, answer: str, gold: str, /) -> bool: ...


class Checker(NamedTuple):
    """A checker of answers.

    Attributes:
        is_right: the verdict on an answer.
        needs_gold: True if the questions' file must have right answers.
    """

    is_right: Verdict
    needs_gold: bool


def _sum(question: str, answer: str, gold: str) -> bool:
    """True if the number after the first `####` is the sum that the question asks for."""
    return is_right(question, answer)


def _number(question: str, answer: str, gold: str) -> bool:
    """True if the number after the first `####` is that of the right answer."""
    number = final_number(gold)
    return number is not None and final_number_written(answer) == number


CHECKERS = {"sums": Checker(_sum, False), "number": Checker(_number, True)}
