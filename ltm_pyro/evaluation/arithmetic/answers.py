"""The number that an answer ends with, and when one is right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

MARK = "####"
NUMBER = re.compile(r"\s*\$?\s*(-?\$?\d[\d,]*(?:\.\d+)?|-?\.\d+)")
NEXT_PROBLEM = "\nQuestion:"


def final_number(answer: str) -> Decimal | None:
    """The number right behind the first `####`, without currency and thousands; None if there is none."""
    _, mark, behind = answer.partition(MARK)
    match = NUMBER.match(behind) if mark else None
    if match is None:
        return None
    try:
        return Decimal(match[1].replace(",", "").replace("$", "")).normalize()
    except InvalidOperation:
        return None


def final_number_written(text: str) -> Decimal | None:
    """`final_number` of what was written, up to where it goes on to a problem of its own."""
    return final_number(text.partition(NEXT_PROBLEM)[0])


def occurs(gold: str, text: str) -> bool:
    """Whether the right answer's characters stand anywhere in a text: what the paper's released code counts as right.

    It is no test of arithmetic: 5 stands in 15, in 3.5, and in the question that was copied.
    """
    return gold in text


def commonest_answer(numbers: Iterable[Decimal]) -> Decimal:
    """What someone would guess who knows the answers to other problems, and reads no question."""
    return Counter(numbers).most_common(1)[0][0]
