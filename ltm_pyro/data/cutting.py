"""Cutting documents into sequences: windows of one length, or one sequence a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from ltm_pyro.data.document import Document
from ltm_pyro.data.sequences import Sequences
from ltm_pyro.data.tokenizer import Tokenizer
from ltm_pyro.errors import InputError

Mode = Literal["windows", "documents"]


class Encoded(NamedTuple):
    """Documents as tokens, an end token after each, back to back."""

    tokens: np.ndarray  # uint16 or uint32
    byte_counts: np.ndarray  # uint16 or uint32
    bounds: np.ndarray  # where each document starts, and where the last one stops
    names: list[str]


def cut(mode: Mode, documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """`windows` or `documents`, by name."""
    if mode not in MODES:
        raise InputError(f"there is no way to cut named {mode!r}; expected one of {', '.join(MODES)}")
    return MODES[mode](documents, tokenizer, length)


def windows(documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """Documents, each followed by the end token, joined and cut into consecutive windows of T tokens.

    No token is lost or repeated: the last window, if shorter, is kept and padded. The token before a window is the
    last one of the window before it, and the end token for the first. Where the tokenizer has a begin token
    besides, one stands at the head of each document.

    Raises:
        InputError: T is under two, or there is no text.
    """
    encoded = _encode(documents, tokenizer, length, begins=tokenizer.begin != tokenizer.end)
    total = len(encoded.tokens)
    starts = np.arange(0, total, length)
    return Sequences(
        tokens=encoded.tokens,
        byte_counts=encoded.byte_counts,
        bounds=np.append(starts, total),
        previous=np.append(tokenizer.end, encoded.tokens[starts[1:] - 1]).astype(np.int64),
        names=_window_names(encoded, starts),
        length=length,
        pad=tokenizer.pad,
        fixed=True,
    )


def documents(documents: Iterable[Document], tokenizer: Tokenizer, length: int) -> Sequences:
    """One sequence a document: its text and the end token, cut off at T tokens; the begin token stands before it.

    Empty documents are left out. `truncated` of the result says how many documents were longer than T.

    Raises:
        InputError: T is under two, or there is no text.
    """
    encoded = _encode(documents, tokenizer, length)
    lengths = np.diff(encoded.bounds)
    kept = np.minimum(lengths, length)
    starts = encoded.bounds[:-1]
    inside = np.arange(len(encoded.tokens)) - np.repeat(starts, lengths) < length
    return Sequences(
        tokens=encoded.tokens[inside],
        byte_counts=encoded.byte_counts[inside],
        bounds=np.append(0, np.cumsum(kept)),
        previous=np.full(len(kept), tokenizer.begin, dtype=np.int64),
        names=encoded.names,
        length=length,
        pad=tokenizer.pad,
        fixed=False,
        truncated=int((lengths > length).sum()),
    )


MODES = {"windows": windows, "documents": documents}


def _encode(documents: Iterable[Document], tokenizer: Tokenizer, length: int, begins: bool = False) -> Encoded:
    if length < 2:
        raise InputError(f"sequences of {length} token(s) were asked for; expected at least 2 (--data.length)")
    filled = [document for document in documents if document.text]
    if not filled:
        raise InputError("there is no text to cut into sequences: every document is empty")
    tokens, byte_counts, bounds = [], [], [0]
    for ids, sizes in tokenizer.encode_many(document.text for document in filled):
        head = [tokenizer.begin] * begins
        tokens.append(_narrow(np.concatenate((head, ids, [tokenizer.end])), tokenizer.vocabulary - 1))
        byte_counts.append(_narrow(np.concatenate(([0] * begins, sizes, [0])), sizes.max(initial=0)))
        bounds.append(bounds[-1] + len(tokens[-1]))
    names = [document.name for document in filled]
    return Encoded(np.concatenate(tokens), np.concatenate(byte_counts), np.array(bounds), names)


def _narrow(values: np.ndarray, largest: int) -> np.ndarray:
    return values.astype(np.uint16 if largest < 2**16 else np.uint32)


def _window_names(encoded: Encoded, starts: np.ndarray) -> list[str]:
    sources = np.searchsorted(encoded.bounds, starts, side="right") - 1
    inside = starts - encoded.bounds[sources]
    return [encoded.names[i] + (f"+{n}" if n else "") for i, n in zip(sources, inside, strict=True)]
