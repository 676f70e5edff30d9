"""Text from token ids as they arrive."""

from __future__ import annotations

from ltm_pyro.data.tokenizer import Tokenizer

UNFINISHED = "\ufffd"


class StreamDecoder:
    """Decodes one id at a time and never gives out half a character.

    What `feed` and `flush` return adds up to `tokenizer.decode` of all the ids.

    Example:
        >>> from ltm_pyro.data import StreamDecoder, train_tokenizer
        >>> tokenizer = train_tokenizer(["three words, twice: three words"], vocabulary=260)
        >>> decoder = StreamDecoder(tokenizer)
        >>> "".join(decoder.feed(i) for i in tokenizer.encode("naïve").tolist()) + decoder.flush()
        'naïve'
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._given: list[int] = []  # the ids given out last: some decoders treat the first id of a text differently
        self._held: list[int] = []  # the ids held back

    def feed(self, id: int) -> str:
        """The text that this id completes: empty while a character's bytes are incomplete."""
        self._held.append(int(id))
        text = self._held_text()
        # The last bytes decode to U+FFFD as long as more of them may follow.
        if not text or text.endswith(UNFINISHED):
            return ""
        self._given, self._held = self._held, []
        return text

    def flush(self) -> str:
        """What is held back, at the end: bytes that no character was made of come out as U+FFFD."""
        text = self._held_text()
        self._given, self._held = [], []
        return text

    def _held_text(self) -> str:
        before = self.tokenizer.decode(self._given)
        return self.tokenizer.decode(self._given + self._held)[len(before) :]
