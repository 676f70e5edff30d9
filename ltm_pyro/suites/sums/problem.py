"""Sums of several numbers: questions, chains of steps column by column, and the checker of both."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from itertools import zip_longest
from typing import NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.suites.gsm8k.answers import MARK, final_number_written

QUESTION = re.compile(r"\s*(\d{1,9}(?:\+\d{1,9})+)=\s*", re.ASCII)
MOST_DIGITS, MOST_TERMS = 9, 9


class SumProblem(NamedTuple):
    """Sum of two or more whole numbers.

    Args:
        terms: the numbers.

    Example:
        >>> problem = SumProblem((47, 85))
        >>> problem.question
        '47+85='
        >>> print(problem.chain)
        7+5=12
        4+8+1=13
        #### 132
    """

    terms: tuple[int, ...]

    @property
    def question(self) -> str:
        return "+".join(map(str, self.terms)) + "="

    @property
    def total(self) -> int:
        return sum(self.terms)

    @property
    def steps(self) -> list[str]:
        """Sum of each column of digits from the right, whose last summand is the carry unless that is 0."""
        columns = zip_longest(*(reversed(str(term)) for term in self.terms), fillvalue="0")
        steps, carry = [], 0
        for digits in columns:
            added = [*digits, *([str(carry)] if carry else [])]
            total = sum(map(int, added))
            steps.append(f"{'+'.join(added)}={total}")
            carry = total // 10
        return steps

    @property
    def chain(self) -> str:
        """The steps, a line each, and the total after `####`, as answers of GSM8K end."""
        return "\n".join([*self.steps, f"{MARK} {self.total}"])


def draw_problems(
    count: int, digits: int, terms: int, rng: random.Random, known: Collection[tuple[int, ...]] = ()
) -> list[SumProblem]:
    """Different problems at random, in random order.

    Args:
        count: number of problems.
        digits: digits of each number; the first is not 0.
        terms: numbers of a sum.
        rng: source of randomness.
        known: terms that are left out, so that no problem of another set is drawn again.

    Raises:
        InputError: for other sizes, or fewer problems than asked for.
    """
    if not (1 <= digits <= MOST_DIGITS and 2 <= terms <= MOST_TERMS):
        raise InputError(
            f"sums of {terms} numbers of {digits} digits: expected 2 to {MOST_TERMS} numbers of 1 to {MOST_DIGITS}"
        )
    low, high = 10 ** (digits - 1), 10**digits
    all_of_them = (high - low) ** terms
    left = all_of_them - sum(_fits(one, low, high, terms) for one in set(known))
    if count > left:
        raise InputError(f"{count} different sums of {terms} numbers of {digits} digits: there are {left}")
    seen = set(known)
    drawn: list[SumProblem] = []
    while len(drawn) < count:
        chosen = tuple(rng.randrange(low, high) for _ in range(terms))
        if chosen not in seen:
            seen.add(chosen)
            drawn.append(SumProblem(chosen))
    return drawn


def read_question(question: str) -> SumProblem | None:
    """The problem of a question such as `47+85=`; None for any other text."""
    match = QUESTION.fullmatch(question)
    return None if match is None else SumProblem(tuple(int(term) for term in match[1].split("+")))


def is_right(question: str, answer: str) -> bool:
    """True if the number after the first `####` of an answer is the sum that the question asks for."""
    problem = read_question(question)
    return problem is not None and final_number_written(answer) == problem.total


def right_steps(question: str, answer: str) -> int:
    """Number of leading steps of an answer that are those of the problem, from 0 to one for each column."""
    problem = read_question(question)
    if problem is None:
        return 0
    written = answer.split("\n")
    right = 0
    for step, line in zip(problem.steps, written, strict=False):
        if line.strip() != step:
            break
        right += 1
    return right


def _fits(terms: tuple[int, ...], low: int, high: int, count: int) -> bool:
    return len(terms) == count and all(low <= term < high for term in terms)
