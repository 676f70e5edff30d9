"""Zero-shot perplexity on standard text sets."""

from ltm_pyro.suites.zero_shot.detokenise import lambada, lm1b, ptb, scientific, wikitext
from ltm_pyro.suites.zero_shot.sets import SETS, TextSet
from ltm_pyro.suites.zero_shot.suite import evaluate
from ltm_pyro.suites.zero_shot.table import records_of, table

__all__ = ["SETS", "TextSet", "evaluate", "lambada", "lm1b", "ptb", "records_of", "scientific", "table", "wikitext"]
