"""Cutting documents into sequences: windows of one length, or one sequence a document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ltm_pyro.data.document import Document
from ltm_pyro.data.encoded import Encoded, Encoder, Mode
from ltm_pyro.data.names import WindowNames
from ltm_pyro.data.round_trip import RoundTrip
from ltm_pyro.data.sequences import Sequences
from ltm_pyro.data.tokenizer import Piece, Tokenizer
from ltm_pyro.errors import InputError


class TextSequences(NamedTuple):
    """Sequences, and the number of the text that each is of.

    Args:
        sequences: N of them.
        texts: numbers from 0, shape (N,).
    """

    sequences: Sequences
    texts: np.ndarray


def cut(mode: Mode, documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """`windows` or `documents`, by name."""
    return sequences_of(mode, _encoded(mode, documents, tokenizer, length), tokenizer, length)


def text_sequences(mode: Mode, texts: Iterable[str], tokenizer: Tokenizer, length: int) -> TextSequences:
    """Texts cut as `cut` does it, but that no sequence holds more than one text.

    With `documents` a text is one sequence, cut off at T tokens. With `windows` it is as many as it takes: the token
    before its first one is the end token, that before each other one the last of the window before.

    Args:
        mode, tokenizer, length: as for `cut`.
        texts: none of them empty.

    Raises:
        InputError: T is under two, or there is no text.
    """
    documents = (Document(text, str(number)) for number, text in enumerate(texts))
    encoded = _encoded(mode, documents, tokenizer, length)
    if mode == "documents":
        return TextSequences(_documents(encoded, tokenizer, length), np.arange(len(encoded.names)))
    starts = [np.arange(*both, length) for both in pairwise(encoded.bounds)]
    whole = _windows(encoded, tokenizer, length)
    whole.bounds = np.concatenate([*starts, encoded.bounds[-1:]])
    whole.previous = TokensBefore(encoded.tokens, whole.bounds, tokenizer.eos_id)
    whole.names = [str(number) for number, own in enumerate(starts) for _ in own]
    return TextSequences(whole, np.repeat(np.arange(len(starts)), [len(own) for own in starts]))


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
    """Documents, each followed by the end token, joined and cut into consecutive windows of T tokens.

    No token is lost or repeated: the last window, if shorter, is kept and padded. The token before a window is the
    last one of the window before it, and the end token for the first. Where the tokenizer has a begin token
    besides, one stands at the head of each document.

    Raises:
        InputError: T is under two, or there is no text.
    """
    return cut("windows", documents, tokenizer, length)


def documents(documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """One sequence a document: its text and the end token, cut off at T tokens; the begin token stands before it.

    Empty documents are left out. `truncated` of the result says how many documents were longer than T.

    Raises:
        InputError: T is under two, or there is no text.
    """
    return cut("documents", documents, tokenizer, length)


def check_cut(mode: str, length: int) -> None:
    """Raises InputError unless documents can be cut like this."""
    if mode not in LAYOUTS:
        raise InputError(f"there is no way to cut named {mode!r}; expected one of {', '.join(LAYOUTS)}")
    if length < 2:
        raise InputError(f"sequences of {length} token(s) were asked for; expected at least 2 (--data.length)")


def sequences_of(mode: Mode, encoded: Encoded, tokenizer: Tokenizer, length: int) -> Sequences:
    """The sequences of documents that an `Encoder` of this mode and length has taken in."""
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
    """The token before each window, looked up when it is asked for: to look them all up is to read all there is.

    Args:
        tokens: all of them.
        bounds: where each window starts, and where the last one stops.
        first: the token before the first window.
    """

    def __init__(self, tokens: np.ndarray, bounds: np.ndarray, first: int) -> None:
        self._tokens, self._bounds, self._first = tokens, bounds, first

    def __getitem__(self, ids: np.ndarray) -> np.ndarray:
        starts = self._bounds[:-1][ids]
        return np.where(starts, self._tokens[np.maximum(starts - 1, 0)].astype(np.int64), self._first)


def tokenized(sides: Iterable[tuple[Document, bool]], tokenizer: Tokenizer) -> Iterator[tuple[Document, bool, Piece]]:
    """Each document that is not empty, whether it is held out, and its tokens, in several pieces if it is long.

    Few documents, and few tokens, are held at once.
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
