"""Text quality as people read it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ltm_pyro.suites.generation.bootstrap import Interval
from ltm_pyro.suites.generation.measures import MEASURES
from ltm_pyro.tables import number, section

DIGITS = {"perplexity": 1, "self_bleu": 1, "length": 0, "entropy": 2}


def table(found: Mapping[str, Mapping[str, Interval]], counts: Mapping[str, int], missing: Sequence[str]) -> str:
    """A row for each kind of text, a column for each number, with 95 % intervals over samples.

    Args:
        found: numbers by kind of text.
        counts: samples of each kind.
        missing: what is not there, and how to get it.
    """
    names = [name for name in MEASURES if any(name in own for own in found.values())]
    header = ["", *(MEASURES[name] for name in names), "samples"]
    rows = [
        [kind, *(_cell(own.get(name), DIGITS.get(name, 3)) for name in names), str(counts[kind])]
        for kind, own in found.items()
    ]
    notes = [
        "In brackets 95 % intervals over samples. Read each column against the held-out rows: no number is good by "
        "being low or high.",
        "A judge finds repetition likely: generative perplexity below that of real text, with an entropy below its "
        "own, is text that repeats itself. Entropy is of the words within a sample; repetition the share of its "
        "4-grams that stood in it before; distinct-n is over all samples of a row, and falls with the amount of text.",
        *missing,
    ]
    return section("Text quality", [header, *rows], notes)


def _cell(interval: Interval | None, digits: int) -> str:
    if interval is None or math.isnan(interval.value):
        return "–"
    if math.isnan(interval.low):
        return number(interval.value, digits)
    return f"{number(interval.value, digits)} [{number(interval.low, digits)}, {number(interval.high, digits)}]"
