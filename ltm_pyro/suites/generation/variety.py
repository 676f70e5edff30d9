"""Diversity of texts: entropy and repetition within a text, distinct-n and self-BLEU over several."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from ltm_pyro.optional import import_extra

WORD = re.compile(r"\w+|[^\w\s]")
REFERENCES = 50  # most references of a text in self-BLEU


def words(text: str) -> list[str]:
    """Words and punctuation of a text, independent of the model's tokenizer."""
    return WORD.findall(text)


def grams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[place : place + n]) for place in range(len(tokens) - n + 1)]


def entropy(text: str) -> float:
    """Entropy of the word frequencies of a text, nats; NaN without words."""
    counts = Counter(words(text)).values()
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts) if total else math.nan


def repetition(text: str, n: int = 4) -> float:
    """Share of a text's n-grams that occurred in it before (rep-n; Welleck et al., 2020); NaN without n-grams."""
    sequence = grams(words(text), n)
    return 1 - len(set(sequence)) / len(sequence) if sequence else math.nan


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams of all texts (Li et al., 2016), which falls with the amount of text."""
    sequence = [gram for text in texts for gram in grams(words(text), n)]
    return len(set(sequence)) / len(sequence) if sequence else math.nan


def self_bleu(texts: Sequence[str]) -> list[float]:
    """BLEU-4 of each text with the other texts as references, from 0 to 100 (Zhu et al., 2018).

    Args:
        texts: two or more texts; with more than 51, the references of a text are the next 50.

    Raises:
        InputError: if the package sacrebleu is not installed.
    """
    bleu = import_extra("sacrebleu", "judge", "self-BLEU").BLEU(effective_order=True)
    scores = []
    for place, text in enumerate(texts):
        references = [*texts[place + 1 :], *texts[:place]][:REFERENCES]
        scores.append(bleu.sentence_score(text, references).score if references else math.nan)
    return scores
