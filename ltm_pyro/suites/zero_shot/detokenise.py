"""De-tokenisation of text sets: removes the spaces and marks of the set's own tokenizer.

Without it, a model trained on ordinary text would be scored on a spelling that it has never seen. The rules follow
Radford et al. (2019, section 3.1, "invertible de-tokenizers") and the comparisons of discrete diffusion (Lou et al.,
2024; Sahoo et al., 2024). Perplexities and bits per byte are those of the text after de-tokenisation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Rules = Sequence[tuple[str, str]]

CLOSING: Rules = ((r" +([.,!?;:])(?=\s|$)", r"\1"), (r" +([)\]}])", r"\1"), (r"([(\[{]) +", r"\1"))
QUOTED: Rules = ((r'(^|\s)" ([^"]*?) "', r'\1"\2"'), (r"(^|\s)' ([^']*?) '(?=\s|[.,!?;:]|$)", r"\1'\2'"))
CLITICS: Rules = ((r"(\w) n't\b", r"\1n't"), (r"(\w) '(s|re|ve|ll|d|m)\b", r"\1'\2"), (r"s ' ", "s' "))

WIKITEXT: Rules = (
    (r" ?@([-,.])@ ?", r"\1"),
    *CLITICS,
    *CLOSING,
    *QUOTED,
    (r"= (?==)", "="),  # = = Heading = = becomes == Heading ==
    (r" ?° ?", "°"),
    (r"(?m)^ +| +$", ""),
)
PTB: Rules = (
    *CLITICS,
    (r"\\/", "/"),
    (r"\bN\b", "1"),  # stands for any number in this set
    (r"([$#]) 1", r"\g<1>1"),
    (r"<unk>", "?"),
    (r"(?m)^ +| +$", ""),
)
LM1B: Rules = (*CLITICS, *CLOSING, *QUOTED, (r" (/|--?) ", r"\1"), (r"([$£€#]) (?=\d)", r"\1"), (r"(\d) %", r"\1%"))
LAMBADA: Rules = ((r"[“”]", '"'), (r"[‘’]", "'"), (r"``|''", '"'), *CLITICS, *CLOSING, *QUOTED)


def _applied(rules: Rules, text: str) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


def wikitext(text: str) -> str:
    """`Homarus gammarus , the lobster 's @-@` to `Homarus gammarus, the lobster's-`; headings close up."""
    return _applied(WIKITEXT, text)


def ptb(text: str) -> str:
    """Clitics join their words; `N`, which stands for any number, becomes 1, and an unknown word `?`."""
    return _applied(PTB, text)


def lm1b(text: str) -> str:
    """Punctuation, quotes, currency and clitics join their words."""
    return _applied(LM1B, text)


def lambada(text: str) -> str:
    """Straight quotes; in tokenized files, punctuation and clitics join their words."""
    return _applied(LAMBADA, text)


def scientific(text: str) -> str:
    """Articles of arXiv and PubMed: the rules of WikiText, then those of LM1B."""
    return lm1b(wikitext(text))
