"""Measures of a set of texts, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ltm_pyro.suites.generation.bootstrap import (
    Interval,
    jackknife_share_interval,
    mean_interval,
    mean_share_interval,
    ratio_interval,
)
from ltm_pyro.suites.generation.embedder import Embedder, mauve_score
from ltm_pyro.suites.generation.judge import Judge
from ltm_pyro.suites.generation.sample import Sample
from ltm_pyro.suites.generation.variety import distinct, entropy, repetition, self_bleu, words

MEASURES = {  # names, and labels in tables
    "perplexity": "generative perplexity",
    "entropy": "entropy, nats",
    "distinct_2": "distinct-2",
    "distinct_4": "distinct-4",
    "self_bleu": "self-BLEU",
    "repetition": "repetition",
    "mauve": "MAUVE",
    "length": "words",
}


def measure(
    samples: Sequence[Sample],
    real: Sequence[str],
    judge: Judge | None = None,
    embedder: Embedder | None = None,
    seed: int = 0,
    listen: Callable[[int], None] | None = None,
) -> dict[str, Interval]:
    """Measures of a set of texts by their names in `MEASURES`; those without their model are left out.

    Args:
        samples: the texts.
        real: other real texts, for MAUVE.
        judge: judge for the generative perplexity.
        embedder: embedder for MAUVE.
        seed: seed of the intervals.
        listen: called with the number of texts that the judge has scored.
    """
    texts = [sample.text for sample in samples]
    intervals = {
        "entropy": mean_interval([entropy(text) for text in texts], seed),
        "distinct_2": _distinct(texts, 2),
        "distinct_4": _distinct(texts, 4),
        "self_bleu": mean_interval(self_bleu(texts), seed),
        "repetition": mean_share_interval([repetition(text) for text in texts]),
        "length": mean_interval([float(len(words(text))) for text in texts], seed),
    }
    if judge is not None:
        nonempty = [sample for sample in samples if sample.text]
        intervals["perplexity"] = ratio_interval(*judge.nats(nonempty, listen=listen), seed)
    if embedder is not None:
        intervals["mauve"] = mauve_score(embedder.embed(texts), embedder.embed(real), seed)
    return {name: intervals[name] for name in MEASURES if name in intervals}


def _distinct(texts: Sequence[str], n: int) -> Interval:
    return jackknife_share_interval(lambda places: distinct([texts[place] for place in places], n), len(texts))
