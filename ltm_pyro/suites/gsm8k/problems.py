"""Problems with their answers, and their reader."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from ltm_pyro.data.rows import read_rows
from ltm_pyro.errors import InputError
from ltm_pyro.suites.gsm8k.answers import MARK, final_number


class Problem(NamedTuple):
    """Word problem with its answer.

    Attributes:
        question: text of the problem.
        answer: worked solution, which ends in `#### NUMBER`.
        number: that number.
    """

    question: str
    answer: str
    number: Fraction

    @property
    def gold(self) -> str:
        """Text of the right answer, without commas."""
        return self.answer.partition(MARK)[2].strip().replace(",", "")


def read_problems(source: str, limit: int | None = None) -> list[Problem]:
    """Read problems from rows with the fields `question` and `answer`; all rows are checked, whatever the limit.

    Args:
        source: a file or folder, or `hf:NAME:CONFIG:SPLIT`.
        limit: largest number of problems to return.

    Raises:
        InputError: if the source cannot be read or has other fields, a row lacks its question or answer, or an answer
            has anything but a single number after its `####`.
    """
    problems = [_problem(*row) for row in read_rows(source, ("question", "answer"))]
    if not problems:
        raise InputError(f"{source} holds no problem")
    return problems[:limit]


def _problem(where: str, texts: tuple[str, ...]) -> Problem:
    question, answer = (text.strip() for text in texts)
    if not question or not answer:
        lacking = "question" if not question else "answer"
        raise InputError(f"{where} has no {lacking}: each row needs both; add it, or remove the row")
    number = final_number(answer)
    if number is None:
        rest = answer.partition(MARK)[2].strip().partition("\n")[0][:40]
        fault = f"{rest!r} behind {MARK}, which is not one number" if rest else f"no number behind {MARK}"
        raise InputError(f"{where}: its answer has {fault}; expected a number as in GSM8K, such as `{MARK} 1,250`")
    return Problem(question, answer, number)
