"""Table of text quality, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ltm_pyro.suites.generation.bootstrap import Interval
from ltm_pyro.suites.generation.measures import MEASURES
from ltm_pyro.tables import number, section

DIGITS = {"perplexity": 1, "self_bleu": 1, "length": 0, "entropy": 2}


def table(found: Mapping[str, Mapping[str, Interval]], counts: Mapping[str, int], missing: Sequence[str]) -> str:
    """Table with a row for each kind of text, a column for each measure, and 95 % intervals over samples.

    Args:
        found: measures by kind of text.
        counts: number of samples of each kind.
        missing: notes on missing measures, with the remedy.
    """
    names = [name for name in MEASURES if any(name in intervals for intervals in found.values())]
    header = ["", *(MEASURES[name] for name in names), "samples"]
    rows = [
        [kind, *(_cell(intervals.get(name), DIGITS.get(name, 3)) for name in names), str(counts[kind])]
        for kind, intervals in found.items()
    ]
    notes = [
        "In brackets 95 % intervals over samples. Compare each column with the held-out rows: a low or a high number "
        "is not good in itself.",
        "A judge finds repetition likely: generative perplexity and entropy both below those of real text indicate "
        "text that repeats itself. Entropy is of the words within a sample; repetition is the share of a sample's "
        "4-grams that occurred in it before; distinct-n is over all samples of a row, and falls with the amount of "
        "text.",
        *missing,
    ]
    return section("Text quality", [header, *rows], notes)


def _cell(interval: Interval | None, digits: int) -> str:
    if interval is None or math.isnan(interval.value):
        return "–"
    if math.isnan(interval.low):
        return number(interval.value, digits)
    return f"{number(interval.value, digits)} [{number(interval.low, digits)}, {number(interval.high, digits)}]"
