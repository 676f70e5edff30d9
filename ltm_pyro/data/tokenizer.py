"""Text to token ids and back, with the bytes each token stands for."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ltm_pyro.data import chunking
from ltm_pyro.data.special_tokens import first_of_template, without_special_names
from ltm_pyro.data.tokenizer_source import answering, load_backend
from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    import tokenizers

END = "<|endoftext|>"
PAD = "<|pad|>"
BEGIN = "<|begin|>"
BEGIN_NAMES = (BEGIN, "<|beginoftext|>", "<|startoftext|>", "<|begin_of_text|>", "<s>", "<bos>", "[CLS]")
END_NAMES = (END, "<|end_of_text|>", "</s>", "<eos>", "[SEP]")
SMALLEST_VOCABULARY = 258  # every byte, END and PAD
CHARACTERS_AT_ONCE = 2**18  # bounds the memory that encoding takes, up to 400 bytes a character
LONG_RUN = re.compile(r"\S{256}(?=\S)|\s{256}(?=\s)")


class Piece(NamedTuple):
    """Tokens of a text, the bytes that each stands for, and whether the text ends with them."""

    ids: np.ndarray
    byte_counts: np.ndarray
    last: bool


class Tokenizer:
    """A `tokenizers.Tokenizer` with a known end token, and text that never turns into special tokens.

    A document that contains the characters ``<|endoftext|>`` is encoded letter by letter, like any other text; only
    code that asks for `eos_id` gets the end token. Nothing that a text holds is encoded as `eos_id`, `bos_id` or `pad`,
    whatever the backend's vocabulary holds; where that cannot be had, the text is refused.

    Args:
        backend: the tokenizer to wrap. It is set to neither truncate, pad nor look for special tokens in text.

    Attributes:
        vocabulary: V, one more than the largest id.
        eos_id: the id that ends a document.
        bos_id: the id that stands before a document: that of a template which does no more than put it there, or
            one of a usual name; `eos_id` where the backend has none.
        pad: the id that fills a batch; `eos_id` where the backend has none.

    Raises:
        InputError: the backend has no token that ends a document.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
        self.backend = backend
        self._find_special()

    def _find_special(self) -> None:
        vars(self).pop("_gaps", None)
        self._encoder: tokenizers.Tokenizer | None = None  # not made yet
        ids = self.backend.get_vocab(with_added_tokens=True)
        self.vocabulary: int = max(ids.values(), default=-1) + 1  # ids may have gaps: not the number of entries
        self.eos_id: int = _first_id(ids, END_NAMES)
        names = (first_of_template(self.backend), *BEGIN_NAMES)
        self.bos_id: int = next((ids[name] for name in names if name in ids), self.eos_id)
        self.pad: int = ids.get(PAD, self.eos_id)
        special = {self.eos_id, self.bos_id, self.pad}
        self._special = {name: number for name, number in ids.items() if number in special}

    @classmethod
    def load(cls, spec: str | Path, flag: str = "--data.tokenizer") -> Tokenizer:
        """A tokenizer from a ``tokenizer.json``, a folder that holds one, or the hub (``gpt2`` or ``hf:gpt2``).

        Args:
            spec: the file, the folder or the name.
            flag: the option that it was given by, for the message.

        Raises:
            InputError: there is none, or it does not parse, or it has no token that ends a document.
        """
        return cls(load_backend(str(spec), flag))

    def add_begin(self) -> None:
        """Give a tokenizer without one a token of its own that stands before a document: the next free id."""
        self.backend.add_special_tokens([BEGIN])
        self._find_special()

    def set_bos_id(self, id: int) -> bool:
        """Let a special token stand before a document; False if no special token has this id.

        The choice is saved along, as a template (`tokenizers.processors.TemplateProcessing`).
        """
        from tokenizers import processors

        token = self.backend.get_added_tokens_decoder().get(id)
        if token is None or not token.special:
            return False
        template = [token.content, "$A"]
        self.backend.post_processor = processors.TemplateProcessing(template, special_tokens=[(token.content, id)])
        self._find_special()
        return True

    def save(self, path: str | Path) -> None:
        """Write a ``tokenizer.json`` that `load` reads back."""
        Path(path).write_text(self.backend.to_str(pretty=True), encoding="utf-8")  # the backend's own raises no OSError

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 (T,), without an end token."""
        return np.concatenate([self._checked(np.array(self._encoded(p).ids, np.int32)) for p, _ in self._pieces(text)])

    def encode_with_bytes(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The ids of a text, int32 (T,), and the UTF-8 bytes each one stands for, int64 (T,).

        A token stands for the bytes from the end of the token before it to its own end, so that the bytes of all
        tokens add up to those of the text. Of several tokens that share one character the first stands for all its
        bytes, the others for none.
        """
        ids, byte_counts = _joined([Piece(*_with_bytes(p, self._encoded(p)), last) for p, last in self._pieces(text)])
        return self._checked(ids), byte_counts

    def _encoded(self, piece: str) -> tokenizers.Encoding:
        with answering("encode a text"):
            return self._without_special_names().encode(piece, add_special_tokens=False)

    def _without_special_names(self) -> tokenizers.Tokenizer:
        if self._encoder is None:
            self._encoder = without_special_names(self.backend, self._special)
        return self._encoder

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        """The ids of a text; raises InputError if one of them is that of a special token and not of an unknown word."""
        unknown = getattr(self.backend.model, "unk_token", None)
        for name, number in self._special.items():
            if name != unknown and (ids == number).any():
                raise InputError(
                    f"the tokenizer reads {name!r} in a text as its special token, which no text may become. Take "
                    f"another tokenizer, or remove {name!r} from the text"
                )
        return ids

    def encode_many(self, texts: Iterable[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """`encode_with_bytes` of each text, several at once."""
        done: list[Piece] = []
        for piece in self.encode_pieces(texts):
            done.append(piece)
            if piece.last:
                whole, done = _joined(done), []
                yield whole

    def encode_pieces(self, texts: Iterable[str]) -> Iterator[Piece]:
        """`encode_many`, and a long text comes piece by piece where that makes no difference to its tokens."""
        last: deque[bool] = deque()  # of the pieces that are being encoded

        def pieces() -> Iterator[str]:
            for piece, ends in (cut for text in texts for cut in self._pieces(text)):
                last.append(ends)
                yield piece

        for group in _groups(pieces()):
            with answering("encode the text"):
                encodings = self._without_special_names().encode_batch(group, add_special_tokens=False)
            for ids, byte_counts in map(_with_bytes, group, encodings):
                yield Piece(self._checked(ids), byte_counts, last.popleft())

    def _pieces(self, text: str) -> Iterable[tuple[str, bool]]:
        if len(text) < 2 * chunking.PIECE:
            return [(text, True)]
        gaps = self._gaps
        return [(text, True)] if gaps is None else chunking.chunks(text, gaps)

    @cached_property
    def _gaps(self) -> chunking.Gaps | None:
        return chunking.gaps_of(self.backend)

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD."""
        with answering("decode tokens"):
            return self.backend.decode([int(i) for i in ids], skip_special_tokens=skip_special)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn a byte-level BPE vocabulary (Sennrich et al., 2016; bytes as in GPT-2), exact for any text.

    The only special tokens are ``<|endoftext|>`` and ``<|pad|>``. One corpus gives one tokenizer: nothing is random.

    Args:
        texts: what to learn from.
        vocabulary: V, at least 258 (256 bytes and two special tokens).

    Raises:
        InputError: V is too small, or larger than the texts have pairs to merge for.
    """
    if vocabulary < SMALLEST_VOCABULARY:
        raise InputError(
            f"a vocabulary of {vocabulary} is too small: 256 bytes and two special tokens make "
            f"{SMALLEST_VOCABULARY} (--data.vocabulary)"
        )
    backend = _untrained()
    pieces = (run for text in texts for piece, _ in chunking.chunks(text) for run in _runs(piece))
    backend.train_from_iterator(pieces, _trainer(vocabulary))
    reached = backend.get_vocab_size()
    if reached < vocabulary:
        raise InputError(
            f"a vocabulary of {vocabulary} was asked for, but the text only supports {reached}. "
            f"Ask for at most that, --data.vocabulary {reached}, or give more text"
        )
    return Tokenizer(backend)


def _untrained() -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def _trainer(vocabulary: int) -> tokenizers.trainers.BpeTrainer:
    from tokenizers import pre_tokenizers, trainers

    return trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )


def _runs(text: str) -> Iterator[str]:
    """The text, cut inside runs of over 256 characters without (or of nothing but) white space.

    Such a run is one word to the trainer, whose time grows with the square of a word's length: one of a million
    letters takes minutes. Ordinary text comes back whole.
    """
    start = 0
    for run in LONG_RUN.finditer(text):
        yield text[start : run.end()]
        start = run.end()
    yield text[start:]


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size > CHARACTERS_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _joined(pieces: list[Piece]) -> tuple[np.ndarray, np.ndarray]:
    if len(pieces) == 1:
        return pieces[0][:2]
    ids, byte_counts, _ = zip(*pieces, strict=True)
    return np.concatenate(ids), np.concatenate(byte_counts)


def _with_bytes(text: str, encoding: tokenizers.Encoding) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array(encoding.ids, dtype=np.int32)
    if not len(ids):
        return ids, np.zeros(0, dtype=np.int64)
    ends = np.maximum.accumulate(np.fromiter(map(itemgetter(1), encoding.offsets), np.int64, len(ids)))
    ends[-1] = len(text)  # a backend may drop white space at the end: the last token answers for it
    return ids, np.diff(_bytes_before(text)[ends], prepend=0)


def _bytes_before(text: str) -> np.ndarray:
    """How many UTF-8 bytes come before each character, and before the end: (characters + 1,)."""
    if text.isascii():
        return np.arange(len(text) + 1)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    return np.concatenate([[0], np.cumsum(widths)])


def _first_id(ids: dict[str, int], names: Sequence[str]) -> int:
    for name in names:
        if name in ids:
            return ids[name]
    raise InputError(
        f"the tokenizer has no token that ends a document; looked for {', '.join(names)}. "
        f"Add {END} to it as a special token, or take another tokenizer"
    )
