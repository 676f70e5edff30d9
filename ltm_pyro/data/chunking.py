"""Cutting a long text into chunks that have, one after another, the tokens of the whole.

A tokenizer takes up to 400 bytes of memory for each character of the text that it is given at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import tokenizers

PIECE = 2**14  # characters, more or less; tokenizers take longer for each character of a longer text
LONGEST = 2**16  # characters of a piece; without a gap for so long, the text is cut where it stands
NORMALIZERS = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}  # each letter for itself
WORDS = {"BertPreTokenizer", "Metaspace", "Whitespace", "WhitespaceSplit"}  # which keep words apart


class Gaps(NamedTuple):
    """Gaps: places at which a tokenizer encodes both sides independently.

    Attributes:
        pattern: the white space before which it may be cut.
        forced: whether a text is cut after `LONGEST` characters without such a place.
    """

    pattern: re.Pattern[str]
    forced: bool


AROUND_PATTERN = Gaps(re.compile(r"(?<=\S)[ \n](?=\S)"), forced=True)
BETWEEN_WORDS = Gaps(re.compile(r"(?<=[A-Za-z0-9]) (?=[A-Za-z0-9])"), forced=False)


def gaps_of(backend: tokenizers.Tokenizer) -> Gaps | None:
    """Gaps at white space where a tokenizer is known to encode both sides independently; None if there are none.

    The byte-level tokenizers of GPT-2's kind do, `train_tokenizer`'s among them: they split text by a pattern before
    anything else, and one white space between two others is always the start of what the pattern finds. Where offsets
    leave white space out, as RoBERTa's do, the first token of a text stands for other bytes than within a longer one.
    BERT's kind, and SentencePiece's where words are split, keep two words of plain letters apart that a blank divides;
    they must have a token for what they do not know, since letters that are dropped count to the next token there is.
    """
    content = json.loads(backend.to_str())
    if not all(token["special"] for token in content["added_tokens"]):
        return None
    first, normalizer = content["pre_tokenizer"] or {}, content["normalizer"]
    trims = '"trim_offsets": true' in json.dumps(content["post_processor"])
    by_pattern = first.get("type") == "ByteLevel" and first.get("use_regex", True) and not first["add_prefix_space"]
    if by_pattern and normalizer is None and not trims:
        return AROUND_PATTERN
    by_words = first.get("type") in WORDS and first.get("split", True) and _knows_all(content["model"])
    return BETWEEN_WORDS if by_words and _kinds(normalizer) <= NORMALIZERS else None


def chunks(text: str, gaps: Gaps = AROUND_PATTERN) -> Iterator[tuple[str, bool]]:
    """The text, cut at the first gap after each `PIECE` characters; with each piece comes whether it is the last.

    Where there is no gap for `LONGEST` characters, in the midst of tens of thousands of letters, byte-level tokens on
    both sides may be others than those of the whole; the bytes are the same. Other tokenizers are given such a stretch
    as it is. Where it is cut depends on the text alone.
    """
    start = 0
    while (end := _end(text, start, gaps)) < len(text):
        yield text[start:end], False
        start = end
    yield text[start:], True


def _end(text: str, start: int, gaps: Gaps) -> int:
    most = start + LONGEST if gaps.forced else len(text)
    gap = gaps.pattern.search(text, start + PIECE, most)
    return gap.start() if gap else min(most, len(text))


def _knows_all(model: Mapping[str, Any]) -> bool:
    """Whether every letter becomes a token: one for unknown ones, if need be."""
    return model.get("unk_token", model.get("unk_id")) is not None


def _kinds(part: Mapping[str, Any] | None) -> set[str]:
    """The types of a normalizer and of the parts of a sequence of them."""
    if part is None:
        return set()
    if part["type"] == "Sequence":
        return set().union(*(_kinds(inner) for inner in part["normalizers"]))
    return {part["type"]}
