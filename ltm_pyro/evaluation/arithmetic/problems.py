"""Problems and their answers."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice, zip_longest
from typing import NamedTuple

from ltm_pyro import data
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.arithmetic.answers import MARK, final_number


class Problem(NamedTuple):
    """One problem.

    Attributes:
        question: in words.
        answer: worked out, `#### NUMBER` at its end.
        number: that.
    """

    question: str
    answer: str
    number: Decimal

    @property
    def gold(self) -> str:
        """The right answer as it is spelled."""
        return self.answer.partition(MARK)[2].strip().replace(",", "")


def read_problems(source: str, limit: int | None = None) -> list[Problem]:
    """Read rows with the fields `question` and `answer`.

    Args:
        source: a file, or `hf:NAME:CONFIG:SPLIT`.
        limit: the most to read.

    Raises:
        InputError: if it cannot be read, has other fields, or an answer has no number behind its `####`.
    """
    pairs = zip_longest(data.Corpus(source, "question"), data.Corpus(source, "answer"))
    problems = []
    for place, (question, answer) in enumerate(islice(pairs, limit), 1):
        if question is None or answer is None:
            raise InputError(f"{source}: a row has a question without an answer, or the other way round")
        number = final_number(answer.text)
        if number is None:
            raise InputError(f"{source}, problem {place}: its answer has no number behind {MARK}, as GSM8K's have")
        problems.append(Problem(question.text.strip(), answer.text.strip(), number))
    if not problems:
        raise InputError(f"{source} holds no problem")
    return problems
