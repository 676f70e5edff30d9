"""Measures of generated and of real text: generative perplexity, diversity, repetition, MAUVE."""

from ltm_pyro.suites.generation.bootstrap import Interval, mean_interval, ratio_interval
from ltm_pyro.suites.generation.embedder import Embedder, mauve_score
from ltm_pyro.suites.generation.judge import Judge
from ltm_pyro.suites.generation.measures import MEASURES, measure
from ltm_pyro.suites.generation.sample import Sample
from ltm_pyro.suites.generation.suite import evaluate
from ltm_pyro.suites.generation.table import table
from ltm_pyro.suites.generation.variety import distinct, entropy, repetition, self_bleu, words

__all__ = [
    "MEASURES",
    "Embedder",
    "Interval",
    "Judge",
    "Sample",
    "distinct",
    "entropy",
    "evaluate",
    "mauve_score",
    "mean_interval",
    "measure",
    "ratio_interval",
    "repetition",
    "self_bleu",
    "table",
    "words",
]
