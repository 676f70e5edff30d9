"""Round trip of text through a tokenizer: decode(encode(text)) compared with the text."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import Any

import numpy as np

from ltm_pyro.data.tokenizer import Tokenizer


class RoundTrip:
    """Comparison of texts with their decoded tokens.

    If a text is not restored, its tokens do not hold all of it, and bits per byte would count bytes whose cost was not
    measured.

    Args:
        tokenizer: of the texts. With a byte-level tokenizer that does not alter text nothing is decoded, since every
            text is restored.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.exact = not isinstance(tokenizer, Tokenizer) or _keeps_every_text(_content(tokenizer))
        self._unknown = None if self.exact else _unknown_token(_content(tokenizer)["model"])
        self._documents = self._changed = self._characters = self._lost = 0
        self._kinds: Counter[str] = Counter()
        self._ids: list[np.ndarray] = []

    def add(self, text: str, ids: np.ndarray, last: bool = True) -> bool:
        """Add the next tokens of a document.

        Args:
            text: the whole document.
            ids: its next tokens.
            last: True if the document ends with them.

        Returns:
            False if the document has ended and was not restored, else True.
        """
        changed = self._changed
        if not self.exact:
            self._ids.append(ids)
        if last and not self.exact:
            all_ids, self._ids = np.concatenate(self._ids), []
            unknown = self.tokenizer.backend.token_to_id(self._unknown) if self._unknown else None
            self._compare(text, self.tokenizer.decode(all_ids.tolist()), int((all_ids == unknown).sum()))
        return self._changed == changed

    def remark(self) -> str:
        """Message about the lost text; empty if every text was restored."""
        if not self._changed:
            return ""
        kinds = ", ".join(kind for kind, _ in self._kinds.most_common()) or "the order of characters"
        share = f"{100 * min(self._lost / max(self._characters, 1), 1):.2g} %"
        return (
            f"No bits/byte: the tokenizer loses {share} of the characters: {kinds}. That is so in {self._changed:,} of "
            f"{self._documents:,} documents, which do not come back when their tokens are decoded."
        )

    def _compare(self, text: str, decoded: str, unknown: int) -> None:
        self._documents += 1
        self._characters += len(text)
        if decoded == text:
            return
        self._changed += 1
        lost, added = Counter(text) - Counter(decoded), Counter(decoded) - Counter(text)
        self._lost += max(lost.total(), added.total(), unknown, 1)
        for character, count in lost.items():
            self._kinds[_kind(character, added)] += count
        if unknown:
            self._kinds[self._unknown or ""] += unknown
        if not lost and added:
            self._kinds["white space put in" if not "".join(added).strip() else "characters put in"] += added.total()


def _kind(character: str, added: Counter[str]) -> str:
    """Kind of loss of a character, from the characters that were added."""
    if character.isspace():
        return "white space"
    if character.lower() != character and character.lower() in added:
        return "case"
    forms = set(unicodedata.normalize("NFKD", character) + unicodedata.normalize("NFKC", character))
    forms |= {form.lower() for form in forms}
    if unicodedata.combining(character) or any(forms & set(unicodedata.normalize("NFKD", new)) for new in added):
        return "accents and forms of letters"
    return "characters outside the vocabulary"


def _content(tokenizer: Tokenizer) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(tokenizer.backend.to_str())
    return content


def _keeps_every_text(content: dict[str, Any]) -> bool:
    """True if a tokenizer is known to be exact: all 256 bytes as in GPT-2, and no normalisation before."""
    from tokenizers import pre_tokenizers

    first, decoder, model = content["pre_tokenizer"] or {}, content["decoder"] or {}, content["model"]
    by_bytes = first.get("type") == decoder.get("type") == "ByteLevel" and not first.get("add_prefix_space")
    untouched = content["normalizer"] is None and all(token["special"] for token in content["added_tokens"])
    complete = model.get("type") == "BPE" and set(pre_tokenizers.ByteLevel.alphabet()) <= set(model["vocab"])
    return bool(by_bytes and untouched and complete)


def _unknown_token(model: dict[str, Any]) -> str | None:
    """The token for text that the vocabulary lacks; None if there is none."""
    place = model.get("unk_id")
    token = model.get("unk_token") if place is None else model["vocab"][place][0]
    return None if token is None else str(token)
