"""Cutting a long text into pieces that have, one after another, the tokens of the whole.

A tokenizer takes up to 400 bytes of memory for each character of the text that it is given at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

PIECE = 2**14  # characters, more or less; tokenizers take longer for each character of a longer text
LONGEST = 2**16  # characters of a piece; without a gap for so long, the text is cut where it stands
GAP = re.compile(r"(?<=\S)[ \n](?=\S)")


def can_cut(backend: tokenizers.Tokenizer) -> bool:
    """Whether a tokenizer is known to treat what stands before and after a single white space separately.

    The byte-level tokenizers of GPT-2's kind do, `train_tokenizer`'s among them: they split text by a pattern before
    anything else, and one white space between two others is always the start of what the pattern finds. Where offsets
    leave white space out, as RoBERTa's do, the first token of a text stands for other bytes than within a longer one.
    """
    content = json.loads(backend.to_str())
    first = content["pre_tokenizer"] or {}
    by_pattern = first.get("type") == "ByteLevel" and first.get("use_regex", True) and not first["add_prefix_space"]
    trims = '"trim_offsets": true' in json.dumps(content["post_processor"])
    alone = content["normalizer"] is None and all(token["special"] for token in content["added_tokens"])
    return bool(by_pattern and alone and not trims)


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text, cut at the first gap after each `PIECE` characters, or after `LONGEST` where there is none.

    Only in the second case, in the midst of tens of thousands of letters without a gap, may the tokens on both sides be
    others than those of the whole. The bytes are the same. Where it is cut depends on the text alone.

    With each piece comes whether it is the last.
    """
    start = 0
    while (end := _end(text, start)) < len(text):
        yield text[start:end], False
        start = end
    yield text[start:], True


def _end(text: str, start: int) -> int:
    gap = GAP.search(text, start + PIECE, start + LONGEST)
    return gap.start() if gap else min(start + LONGEST, len(text))
