"""Text sets with their sources and de-tokenisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ltm_pyro.suites.zero_shot.detokenise import lambada, lm1b, ptb, scientific, wikitext


def as_it_is(text: str) -> str:
    """Identity de-tokeniser."""
    return text


class TextSet(NamedTuple):
    """Text set for zero-shot perplexity.

    Attributes:
        title: name in tables.
        hub: `hf:NAME:CONFIG:SPLIT` for `datasets`, with the split that the literature scores.
        field: field with the text.
        detokenise: de-tokeniser of the set.
        source: publication of the set.
    """

    title: str
    hub: str
    field: str
    detokenise: Callable[[str], str]
    source: str


SETS = {
    "ptb": TextSet(
        "PTB",
        "hf:ptb-text-only/ptb_text_only::validation",
        "sentence",
        ptb,
        "Marcus et al., 1993; Mikolov et al., 2010",
    ),
    "wikitext103": TextSet(
        "WikiText-103", "hf:Salesforce/wikitext:wikitext-103-raw-v1:validation", "text", wikitext, "Merity et al., 2016"
    ),
    "wikitext2": TextSet(
        "WikiText-2", "hf:Salesforce/wikitext:wikitext-2-raw-v1:validation", "text", wikitext, "Merity et al., 2016"
    ),
    "lm1b": TextSet("LM1B", "hf:dvruette/lm1b::test", "text", lm1b, "Chelba et al., 2013"),
    "lambada": TextSet("LAMBADA", "hf:EleutherAI/lambada_openai:default:test", "text", lambada, "Paperno et al., 2016"),
    "ag-news": TextSet("AG News", "hf:fancyzhx/ag_news::test", "text", as_it_is, "Zhang et al., 2015"),
    "pubmed": TextSet(
        "PubMed", "hf:armanc/scientific_papers:pubmed:validation", "article", scientific, "Cohan et al., 2018"
    ),
    "arxiv": TextSet(
        "arXiv", "hf:armanc/scientific_papers:arxiv:validation", "article", scientific, "Cohan et al., 2018"
    ),
}
