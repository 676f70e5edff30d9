"""Final number of an answer, and criteria for a right answer."""

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
LONGEST = 200  # most characters of a number with its unit; more are digits of a model that repeats itself
NEXT_PROBLEM = "\nQuestion:"


def final_number(answer: str) -> Fraction | None:
    """Number after the first `####`; None if the rest of that line is not a single number.

    A sign, thousands separators (commas or spaces), a decimal point, an exponent and a fraction belong to the number;
    currency and per cent signs, and units (`12 apples`), are ignored. The line is never read in part: `3,5`, `1 2`,
    `1 1/2` and `3 million` give None.
    """
    _, mark, rest = answer.partition(MARK)
    line = rest.lstrip().partition("\n")[0].strip().translate(SIGNS)
    match = NUMBER.fullmatch(line) if mark and len(line) <= LONGEST else None
    if match is None:
        return None
    below = _value(match["below"] or "1")
    return (-1 if match["sign"] == "-" else 1) * _value(match["number"]) / below if below else None


def final_number_written(text: str) -> Fraction | None:
    """`final_number` of a generated text, up to the next problem that the model makes up."""
    return final_number(text.partition(NEXT_PROBLEM)[0])


def spelled(number: Fraction) -> str:
    """Text of a number: integer, decimal, or fraction if no decimal is exact."""
    if number.denominator == 1:
        return str(number.numerator)
    decimal = f"{float(number):.12g}"
    return decimal if Fraction(decimal) == number else str(number)


def occurs(gold: str, text: str) -> bool:
    """Lenient criterion of the paper's released code: True if the right answer's characters occur anywhere in a text.

    The criterion does not test arithmetic: 5 occurs in 15, in 3.5, and in a copy of the question.
    """
    return gold in text


def commonest_answer(numbers: Iterable[Fraction]) -> Fraction:
    """Most frequent answer, the best guess without reading the question."""
    return Counter(numbers).most_common(1)[0][0]


def _value(digits: str) -> Fraction:
    return Fraction(re.sub(rf",|{SPACE}", "", digits).removesuffix("."))
