"""Division of documents into sequences: windows of one length, or one sequence per document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
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

Values = Sequence[str]


class TextSequences(NamedTuple):
    """Sequences, and the index of each sequence's text.

    Args:
        sequences: N of them.
        texts: indices from 0, shape (N,).
    """

    sequences: Sequences
    texts: np.ndarray


class DocumentPiece(NamedTuple):
    """Tokens of a part of a document.

    Args:
        document: the document.
        held_out: its side.
        piece: the tokens; `last` if the document ends with them.
        in_prompt: True if they belong to its prompt.
    """

    document: Document
    held_out: bool
    piece: Piece
    in_prompt: bool


def cut(
    mode: Mode,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    length: int,
    values: Values = (),
    score_prompts: bool = True,
) -> Sequences:
    """The sequences of documents, by `windows` or `documents` as `mode` names.

    Args:
        mode: how documents become sequences.
        documents, tokenizer: the text and its tokenizer.
        length: T.
        values: the labels that are known; another label counts as none.
        score_prompts: True if the tokens of prompts are scored, False if they are context alone.
    """
    encoded = _encoded(mode, documents, tokenizer, length, values, score_prompts)
    return sequences_of(mode, encoded, tokenizer, length)


def text_sequences(
    mode: Mode, texts: Iterable[str | Document], tokenizer: Tokenizer, length: int, score_prompts: bool = True
) -> TextSequences:
    """The sequences of texts, cut as by `cut`, except that no sequence holds more than one text.

    With `documents` a text is one sequence, cut off at T tokens. With `windows` it is divided into as many as needed:
    the token before the first window is the end token, that before any other window the last of the window before.

    Args:
        mode, tokenizer, length, score_prompts: as for `cut`.
        texts: none of them empty; documents may have prompts.

    Raises:
        InputError: if T is below two, or there is no text.
    """
    documents = (
        text if isinstance(text, Document) else Document(text, str(number)) for number, text in enumerate(texts)
    )
    encoded = _encoded(mode, documents, tokenizer, length, (), score_prompts)
    if mode == "documents":
        return TextSequences(_documents(encoded, tokenizer, length), np.arange(len(encoded.names)))
    starts = [np.arange(*both, length) for both in pairwise(encoded.bounds)]
    sequences = _windows(encoded, tokenizer, length)
    sequences.bounds = np.concatenate([*starts, encoded.bounds[-1:]])
    sequences.previous = TokensBefore(encoded.tokens, sequences.bounds, tokenizer.eos_id)
    places = np.repeat(np.arange(len(starts)), [len(positions) for positions in starts])
    sequences.names = TextNames(places, length)
    return TextSequences(sequences, places)


def _encoded(
    mode: Mode, documents: Iterable[Document], tokenizer: Tokenizer, length: int, values: Values, score_prompts: bool
) -> Encoded:
    check_cut(mode, length)
    encoder = Encoder(mode, tokenizer, length, values=values, score_prompts=score_prompts)
    trip = RoundTrip(tokenizer)
    for document, _, piece, in_prompt in tokenized(((document, False) for document in documents), tokenizer):
        encoder.add(document.name, *piece, in_prompt, document.label)
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
        annotations=encoded.annotations,
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


def tokenized(sides: Iterable[tuple[Document, bool]], tokenizer: Tokenizer) -> Iterator[DocumentPiece]:
    """Each non-empty document with its side (True: held out) and its tokens, in several pieces if it is long.

    A prompt is tokenized apart from the answer, as it is when a text is written. Only a few documents and tokens are in
    memory at once.
    """
    waiting: deque[tuple[Document, bool, bool]] = deque()

    def texts() -> Iterator[str]:
        for document, held_out in sides:
            prompt, answer = document.text[: document.prompt], document.text[document.prompt :]
            for part, in_prompt in ((prompt, True), (answer, False)):
                if part:
                    waiting.append((document, held_out, in_prompt))
                    yield part

    for piece in tokenizer.encode_pieces(texts()):
        document, held_out, in_prompt = waiting[0]
        if piece.last:
            waiting.popleft()
        ends = piece.last and (not in_prompt or document.prompt == len(document.text))
        yield DocumentPiece(document, held_out, piece._replace(last=ends), in_prompt)
