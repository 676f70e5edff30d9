"""The number that an answer ends with, and when one is right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

MARK = "####"
SIGNS = str.maketrans(dict.fromkeys("\u2212\u2013\u2012\ufe63\uff0d", "-") | {"\uff0b": "+"})
CURRENCY = "[$\u00a3\u00a5\u0e3f\u20a0-\u20c0]"
SPACE = r"[ \u00a0\u2009\u202f]"
DIGITS = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,3}}(?:{SPACE}\d{{3}})+|\d+)"
SIMPLE = rf"(?:{DIGITS}(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{{1,3}})?"
SCALE = r"(?:k|m|b|bn|and|hundreds?|thousands?|millions?|billions?|trillions?|dozens?|hal(?:f|ves)|thirds?|quarters?)\b"
NUMBER = re.compile(
    rf"{CURRENCY}?{SPACE}?(?P<sign>[-+]?){SPACE}?{CURRENCY}?{SPACE}?"
    rf"(?P<number>{SIMPLE})(?:{SPACE}?/{SPACE}?(?P<below>{SIMPLE}))?"
    rf"{SPACE}?(?:{CURRENCY}|%)?(?:[ ](?!{SCALE})[^\d/]*|\.)?",
    re.ASCII | re.IGNORECASE,
)
LONGEST = 200  # characters of a number with what is counted; more are the digits of a model that repeats itself
NEXT_PROBLEM = "\nQuestion:"


def final_number(answer: str) -> Fraction | None:
    """The number behind the first `####`: all of that line, or None if it is anything but one number.

    A sign, thousands set off by commas or spaces, a decimal point, an exponent and a fraction belong to the number; a
    sign of currency or of per cent, and what is counted (`12 apples`), are left out. Nothing is read in part: `3,5`,
    `1 2`, `1 1/2` and `3 million` are no number.
    """
    _, mark, behind = answer.partition(MARK)
    line = behind.lstrip().partition("\n")[0].strip().translate(SIGNS)
    match = NUMBER.fullmatch(line) if mark and len(line) <= LONGEST else None
    if match is None:
        return None
    below = _value(match["below"] or "1")
    return (-1 if match["sign"] == "-" else 1) * _value(match["number"]) / below if below else None


def final_number_written(text: str) -> Fraction | None:
    """`final_number` of what was written, up to where it goes on to a problem of its own."""
    return final_number(text.partition(NEXT_PROBLEM)[0])


def spelled(number: Fraction) -> str:
    """A number as one writes it: whole, decimal, or as a fraction where no decimal is exact."""
    if number.denominator == 1:
        return str(number.numerator)
    decimal = f"{float(number):.12g}"
    return decimal if Fraction(decimal) == number else str(number)


def occurs(gold: str, text: str) -> bool:
    """Whether the right answer's characters stand anywhere in a text: what the paper's released code counts as right.

    It is no test of arithmetic: 5 stands in 15, in 3.5, and in the question that was copied.
    """
    return gold in text


def commonest_answer(numbers: Iterable[Fraction]) -> Fraction:
    """The best guess of someone who knows the answers to other problems, and reads no question."""
    return Counter(numbers).most_common(1)[0][0]


def _value(digits: str) -> Fraction:
    return Fraction(re.sub(rf",|{SPACE}", "", digits).removesuffix("."))
