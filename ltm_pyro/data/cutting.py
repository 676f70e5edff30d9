"""Division of documents into sequences: windows of one length, or one sequence per document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ltm_pyro.data.document import Document
from ltm_pyro.data.encoded import Encoded, Encoder, Mode
from ltm_pyro.data.names import TextNames, WindowNames
from ltm_pyro.data.round_trip import RoundTrip
from ltm_pyro.data.sequences import Sequences
from ltm_pyro.data.tokenizer import Piece, Tokenizer
from ltm_pyro.errors import InputError


class TextSequences(NamedTuple):
    """Sequences, and the index of each sequence's text.

    Args:
        sequences: N of them.
        texts: indices from 0, shape (N,).
    """

    sequences: Sequences
    texts: np.ndarray


def cut(mode: Mode, documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """The sequences of documents, by `windows` or `documents` as `mode` names."""
    return sequences_of(mode, _encoded(mode, documents, tokenizer, length), tokenizer, length)


def text_sequences(mode: Mode, texts: Iterable[str], tokenizer: Tokenizer, length: int) -> TextSequences:
    """The sequences of texts, cut as by `cut`, except that no sequence holds more than one text.

    With `documents` a text is one sequence, cut off at T tokens. With `windows` it is divided into as many as needed:
    the token before the first window is the end token, that before any other window the last of the window before.

    Args:
        mode, tokenizer, length: as for `cut`.
        texts: none of them empty.

    Raises:
        InputError: if T is below two, or there is no text.
    """
    documents = (Document(text, str(number)) for number, text in enumerate(texts))
    encoded = _encoded(mode, documents, tokenizer, length)
    if mode == "documents":
        return TextSequences(_documents(encoded, tokenizer, length), np.arange(len(encoded.names)))
    starts = [np.arange(*both, length) for both in pairwise(encoded.bounds)]
    sequences = _windows(encoded, tokenizer, length)
    sequences.bounds = np.concatenate([*starts, encoded.bounds[-1:]])
    sequences.previous = TokensBefore(encoded.tokens, sequences.bounds, tokenizer.eos_id)
    places = np.repeat(np.arange(len(starts)), [len(positions) for positions in starts])
    sequences.names = TextNames(places, length)
    return TextSequences(sequences, places)


def _encoded(mode: Mode, documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Encoded:
    check_cut(mode, length)
    encoder = Encoder(mode, tokenizer, length)
    trip = RoundTrip(tokenizer)
    for document, _, piece in tokenized(((document, False) for document in documents), tokenizer):
        encoder.add(document.name, *piece)
        trip.add(document.text, piece.ids, piece.last)
    encoder.lost = trip.remark()
    return encoder.encoded()


def windows(documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """Consecutive windows of T tokens from documents that are joined, each followed by the end token.

    No token is lost or repeated: the last window, if shorter, is kept and padded. The token before a window is the
    last one of the window before it, and the end token for the first. If the tokenizer has a separate begin token,
    each document starts with one.

    Raises:
        InputError: if T is below two, or there is no text.
    """
    return cut("windows", documents, tokenizer, length)


def documents(documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """One sequence per document: its text and the end token, cut off at T tokens; the token before is the begin token.

    Empty documents are left out. `truncated` of the result is the number of documents that were longer than T.

    Raises:
        InputError: if T is below two, or there is no text.
    """
    return cut("documents", documents, tokenizer, length)


def check_cut(mode: str, length: int) -> None:
    """Raise InputError for an unknown mode, or a length below two."""
    if mode not in LAYOUTS:
        raise InputError(f"the mode {mode!r} is unknown; expected one of {', '.join(LAYOUTS)}")
    if length < 2:
        raise InputError(f"the length of sequences is {length} token(s); expected at least 2 (--data.length)")


def sequences_of(mode: Mode, encoded: Encoded, tokenizer: Tokenizer, length: int) -> Sequences:
    """The sequences of documents encoded by an `Encoder` of this mode and length."""
    return LAYOUTS[mode](encoded, tokenizer, length)


def _windows(encoded: Encoded, tokenizer: Tokenizer, length: int) -> Sequences:
    total = len(encoded.tokens)
    bounds = np.append(np.arange(0, total, length), total)
    return Sequences(
        tokens=encoded.tokens,
        byte_counts=encoded.byte_counts,
        bounds=bounds,
        previous=TokensBefore(encoded.tokens, bounds, tokenizer.eos_id),
        names=WindowNames(encoded.names, encoded.bounds, length),
        length=length,
        pad=tokenizer.pad,
        fixed=True,
        byte_count=encoded.byte_count,
        lost=encoded.lost,
    )


def _documents(encoded: Encoded, tokenizer: Tokenizer, length: int) -> Sequences:
    return Sequences(
        tokens=encoded.tokens,
        byte_counts=encoded.byte_counts,
        bounds=encoded.bounds,
        previous=np.full(len(encoded.names), tokenizer.bos_id, dtype=np.int64),
        names=encoded.names,
        length=length,
        pad=tokenizer.pad,
        fixed=False,
        truncated=encoded.truncated,
        byte_count=encoded.byte_count,
        lost=encoded.lost,
    )


LAYOUTS = {"windows": _windows, "documents": _documents}


class TokensBefore:
    """The token before each window, looked up on demand, since looking up all of them would read the whole array.

    Args:
        tokens: all tokens.
        bounds: the start of each window, and the end of the last one.
        first: the token before the first window.
    """

    def __init__(self, tokens: np.ndarray, bounds: np.ndarray, first: int) -> None:
        self._tokens, self._bounds, self._first = tokens, bounds, first

    def __getitem__(self, ids: np.ndarray) -> np.ndarray:
        starts = self._bounds[:-1][ids]
        return np.where(starts, self._tokens[np.maximum(starts - 1, 0)].astype(np.int64), self._first)


def tokenized(sides: Iterable[tuple[Document, bool]], tokenizer: Tokenizer) -> Iterator[tuple[Document, bool, Piece]]:
    """Each non-empty document with its side (True: held out) and its tokens, in several pieces if it is long.

    Only a few documents and tokens are in memory at once.
    """
    waiting: deque[tuple[Document, bool]] = deque()

    def texts() -> Iterator[str]:
        for document, held_out in sides:
            if document.text:
                waiting.append((document, held_out))
                yield document.text

    for piece in tokenizer.encode_pieces(texts()):
        yield (*waiting[0], piece)
        if piece.last:
            waiting.popleft()
