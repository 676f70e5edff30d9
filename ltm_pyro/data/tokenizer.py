"""Tokenizer: text to token ids and back, with the number of bytes of each token."""

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
CHARACTERS_AT_ONCE = 2**18  # limits the memory of encoding, up to 400 bytes per character
LONG_RUN = re.compile(r"\S{256}(?=\S)|\s{256}(?=\s)")


class Piece(NamedTuple):
    """Tokens of a part of a text, the number of bytes of each, and a flag for the last part."""

    ids: np.ndarray
    byte_counts: np.ndarray
    last: bool


class Tokenizer:
    """A `tokenizers.Tokenizer` with a known end token, which never encodes text as special tokens.

    The characters ``<|endoftext|>`` in a document are encoded like any other text; the end token is available only as
    `eos_id`. No text is encoded as `eos_id`, `bos_id` or `pad`, whatever the backend's vocabulary contains; a text for
    which this is impossible is refused.

    Args:
        backend: the tokenizer to wrap. It is set to neither truncate, pad nor look for special tokens in text.

    Attributes:
        vocabulary: V, one more than the largest id.
        eos_id: the id that ends a document.
        bos_id: the id before a document: that of a template which only puts it there, or that of a token with a usual
            name; `eos_id` if the backend has none.
        pad: the id of padding; `eos_id` if the backend has none.

    Raises:
        InputError: if the backend has no token that ends a document.
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
        """Load a tokenizer from a ``tokenizer.json``, a folder with one, or the hub (``gpt2`` or ``hf:gpt2``).

        Args:
            spec: the file, the folder or the name.
            flag: the option that gave it, for the message.

        Raises:
            InputError: if there is none, it does not parse, or it has no token that ends a document.
        """
        return cls(load_backend(str(spec), flag))

    def add_begin(self) -> None:
        """Add a token that stands before a document, with the next free id, to a tokenizer without one."""
        self.backend.add_special_tokens([BEGIN])
        self._find_special()

    def set_bos_id(self, id: int) -> bool:
        """Choose the special token before a document by its id; returns False if no special token has this id.

        The choice is saved with the tokenizer, as a template (`tokenizers.processors.TemplateProcessing`).
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
        Path(path).write_text(
            self.backend.to_str(pretty=True), encoding="utf-8"
        )  # the backend's method raises no OSError

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 (T,), without an end token."""
        return np.concatenate([self._checked(np.array(self._encoded(p).ids, np.int32)) for p, _ in self._pieces(text)])

    def encode_with_bytes(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The ids of a text, int32 (T,), and the number of UTF-8 bytes of each, int64 (T,).

        A token's bytes are those from the end of the token before it to its own end, so that the bytes of all tokens
        add up to those of the text. If several tokens share one character, the first has all its bytes.
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
        """Check the ids of a text; raises InputError for the id of a special token, unless it means an unknown word."""
        unknown = getattr(self.backend.model, "unk_token", None)
        for name, number in self._special.items():
            if name != unknown and (ids == number).any():
                raise InputError(
                    f"the tokenizer encodes {name!r} in a text as its special token, which is not allowed. Take "
                    f"another tokenizer, or remove {name!r} from the text"
                )
        return ids

    def encode_many(self, texts: Iterable[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """`encode_with_bytes` of each text, computed in groups."""
        pieces: list[Piece] = []
        for piece in self.encode_pieces(texts):
            pieces.append(piece)
            if piece.last:
                encoded, pieces = _joined(pieces), []
                yield encoded

    def encode_pieces(self, texts: Iterable[str]) -> Iterator[Piece]:
        """`encode_many` with a long text in several pieces, if cutting it does not change its tokens."""
        last: deque[bool] = deque()  # flags of the pieces that are being encoded

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
    """Train a byte-level BPE tokenizer (Sennrich et al., 2016; bytes as in GPT-2), which is exact for any text.

    The only special tokens are ``<|endoftext|>`` and ``<|pad|>``. Training is deterministic.

    Args:
        texts: the training texts.
        vocabulary: V, at least 258 (256 bytes and two special tokens).

    Raises:
        InputError: if V is too small, or larger than the texts have pairs to merge.
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
            f"the text supports a vocabulary of at most {reached}, not {vocabulary}. Give "
            f"--data.vocabulary {reached}, or more text"
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
    """The text, cut within runs of more than 256 characters without white space, or of white space alone.

    The trainer takes such a run for one word, and its time grows with the square of a word's length: a word of a
    million letters takes minutes. Ordinary text is not cut.
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
    ends[-1] = len(text)  # a backend may drop white space at the end, whose bytes go to the last token
    return ids, np.diff(_bytes_before(text)[ends], prepend=0)


def _bytes_before(text: str) -> np.ndarray:
    """Number of UTF-8 bytes before each character, and before the end, shape (characters + 1,)."""
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
