"""Problems and their answers."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from ltm_pyro.data.rows import read_rows
from ltm_pyro.errors import InputError
from ltm_pyro.suites.gsm8k.answers import MARK, final_number


class Problem(NamedTuple):
    """One problem.

    Attributes:
        question: in words.
        answer: worked out, `#### NUMBER` at its end.
        number: that.
    """

    question: str
    answer: str
    number: Fraction

    @property
    def gold(self) -> str:
        """The right answer as it is spelled."""
        return self.answer.partition(MARK)[2].strip().replace(",", "")


def read_problems(source: str, limit: int | None = None) -> list[Problem]:
    """Read rows with the fields `question` and `answer`.

    All rows are read and checked, whatever the limit is.

    Args:
        source: a file or folder, or `hf:NAME:CONFIG:SPLIT`.
        limit: the most to return.

    Raises:
        InputError: if it cannot be read, has other fields, a row lacks its question or answer, or an answer has
            anything but one number behind its `####`.
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
        behind = answer.partition(MARK)[2].strip().partition("\n")[0][:40]
        found = f"{behind!r} behind {MARK}, which is not one number" if behind else f"no number behind {MARK}"
        raise InputError(f"{where}: its answer has {found}; expected one as GSM8K's have, such as `{MARK} 1,250`")
    return Problem(question, answer, number)
