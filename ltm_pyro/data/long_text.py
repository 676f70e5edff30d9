"""Cutting a long text into pieces that have, one after another, the tokens of the whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

PIECE = 2**14  # characters, more or less; tokenizers take longer for each character of a longer text
BETWEEN_WORDS = re.compile(r"(?<=\w)[ \n](?=\w)")


def can_cut(backend: tokenizers.Tokenizer) -> bool:
    """Whether a tokenizer is known to treat what stands before and after a gap between two words separately.

    The byte-level tokenizers of GPT-2's kind do, `train_tokenizer`'s among them: they split text by a pattern before
    anything else, and one white space between two words is always the start of what the pattern finds. Where offsets
    leave white space out, as RoBERTa's do, the first token of a text stands for other bytes than within a longer one.
    """
    content = json.loads(backend.to_str())
    first = content["pre_tokenizer"] or {}
    by_pattern = first.get("type") == "ByteLevel" and first.get("use_regex", True) and not first["add_prefix_space"]
    trims = '"trim_offsets": true' in json.dumps(content["post_processor"])
    alone = content["normalizer"] is None and all(token["special"] for token in content["added_tokens"])
    return bool(by_pattern and alone and not trims)


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text, cut between two words after each `PIECE` characters or as soon as possible after that.

    With each piece comes whether it is the last.
    """
    start = 0
    while gap := BETWEEN_WORDS.search(text, start + PIECE):
        yield text[start : gap.start()], False
        start = gap.start()
    yield text[start:], True
