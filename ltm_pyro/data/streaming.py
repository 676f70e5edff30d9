"""Decoding of token ids that continue a prompt: all at once, or one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ltm_pyro.data.tokenizer import Tokenizer

UNFINISHED = "\ufffd"
BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a token of byte fallback, whose text depends on the bytes that follow it


def continuation(tokenizer: Tokenizer, prompt: Iterable[int], ids: Iterable[int]) -> str:
    """The text of ids that continue a prompt: decode(prompt + ids) without decode(prompt).

    Many tokenizers decode the first token of a text differently, for example without the blank before a word, so that
    a continuation decoded alone differs from the text after its prompt. If the prompt ends within a character, the
    continuation contains all of that character.

    Example:
        >>> from ltm_pyro.data import continuation, train_tokenizer
        >>> tokenizer = train_tokenizer(["three words, twice: three words"], vocabulary=260)
        >>> continuation(tokenizer, tokenizer.encode("three"), tokenizer.encode(" words"))
        ' words'
    """
    before = list(prompt)
    return _added(tokenizer.decode(before), tokenizer.decode([*before, *ids]))


class StreamDecoder:
    """Decoder of one id at a time, which never returns an incomplete character.

    The texts returned by `feed` and `flush`, joined, equal `continuation` of all the ids.

    Args:
        tokenizer: of the ids.
        prompt: the ids before the text; empty for a text of its own.

    Example:
        >>> from ltm_pyro.data import StreamDecoder, train_tokenizer
        >>> tokenizer = train_tokenizer(["three words, twice: three words"], vocabulary=260)
        >>> decoder = StreamDecoder(tokenizer)
        >>> "".join(decoder.feed(i) for i in tokenizer.encode("naïve").tolist()) + decoder.flush()
        'naïve'
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Iterable[int] = ()) -> None:
        self.tokenizer = tokenizer
        self._given = [int(id) for id in prompt]  # the ids decoded last
        self._held: list[int] = []  # the ids held back

    def feed(self, id: int) -> str:
        """The text that this id completes: empty while a character's bytes are incomplete."""
        self._held.append(int(id))
        text = self._held_text()
        # The last bytes decode to U+FFFD as long as more of them may follow.
        if not text or text.endswith(UNFINISHED) or BYTE.fullmatch(self.tokenizer.backend.id_to_token(int(id)) or ""):
            return ""
        self._given, self._held = self._held, []
        return text

    def flush(self) -> str:
        """The rest of the text, at the end; incomplete characters become U+FFFD."""
        text = self._held_text()
        self._given, self._held = [], []
        return text

    def _held_text(self) -> str:
        return continuation(self.tokenizer, self._given, self._held)


def token_texts(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """The text that each id adds; a character of several ids belongs to the last of them."""
    decoder = StreamDecoder(tokenizer)
    texts = [decoder.feed(id) for id in ids]
    return [*texts[:-1], texts[-1] + decoder.flush()] if texts else []


def _added(before: str, after: str) -> str:
    """The part of the text `after` from the first character that differs from `before`."""
    differing = (place for place, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
    return after[next(differing, len(before)) :]
