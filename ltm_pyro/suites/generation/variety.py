"""How varied texts are: within one, and among several."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from ltm_pyro.optional import import_extra

WORD = re.compile(r"\w+|[^\w\s]")
REFERENCES = 50  # of self-BLEU: others that a text is compared with


def words(text: str) -> list[str]:
    """Words and signs, whatever tokenizer wrote the text."""
    return WORD.findall(text)


def grams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[place : place + n]) for place in range(len(tokens) - n + 1)]


def entropy(text: str) -> float:
    """Of the words of one text, in nats: log of how many there would be, were all as frequent; NaN without words."""
    counts = Counter(words(text)).values()
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts) if total else math.nan


def repetition(text: str, n: int = 4) -> float:
    """Share of a text's n-grams that stood in it before (rep-n; Welleck et al., 2020); NaN where there is none."""
    found = grams(words(text), n)
    return 1 - len(set(found)) / len(found) if found else math.nan


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams of all texts together (Li et al., 2016); it falls with the amount of text."""
    found = [gram for text in texts for gram in grams(words(text), n)]
    return len(set(found)) / len(found) if found else math.nan


def self_bleu(texts: Sequence[str]) -> list[float]:
    """BLEU-4 of each text, the others its references, from 0 to 100 (Zhu et al., 2018): how alike they are.

    Args:
        texts: of more than 51 the next 50 are the references of each.

    Raises:
        InputError: if the package sacrebleu is not installed.
    """
    bleu = import_extra("sacrebleu", "judge", "self-BLEU").BLEU(effective_order=True)
    scores = []
    for place, text in enumerate(texts):
        others = [*texts[place + 1 :], *texts[:place]][:REFERENCES]
        scores.append(bleu.sentence_score(text, others).score if others else math.nan)
    return scores
