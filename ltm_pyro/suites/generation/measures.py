"""All numbers of a set of texts."""

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

MEASURES = {  # names and what tables call them
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
    """All numbers that can be had of a set of texts, by the names in `MEASURES`.

    Args:
        samples: the texts.
        real: other real texts, for MAUVE.
        judge: for the generative perplexity.
        embedder: for MAUVE.
        seed: of the intervals.
        listen: told how many texts the judge has done.
    """
    texts = [sample.text for sample in samples]
    found = {
        "entropy": mean_interval([entropy(text) for text in texts], seed),
        "distinct_2": jackknife_share_interval(
            lambda places: distinct([texts[place] for place in places], 2), len(texts)
        ),
        "distinct_4": jackknife_share_interval(
            lambda places: distinct([texts[place] for place in places], 4), len(texts)
        ),
        "self_bleu": mean_interval(self_bleu(texts), seed),
        "repetition": mean_share_interval([repetition(text) for text in texts]),
        "length": mean_interval([float(len(words(text))) for text in texts], seed),
    }
    if judge is not None:
        found["perplexity"] = ratio_interval(*judge.nats([one for one in samples if one.text], listen=listen), seed)
    if embedder is not None:
        found["mauve"] = mauve_score(embedder.embed(texts), embedder.embed(real), seed)
    return {name: found[name] for name in MEASURES if name in found}


def _distinct(texts: Sequence[str], n: int) -> Interval:
    return jackknife_share_interval(lambda places: distinct([texts[place] for place in places], n), len(texts))
