"""Names of documents and windows, made when they are asked for: there may be too many to hold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

import numpy as np


class AbstractNames(Sequence[str]):
    """A sequence of names of which none is held."""

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        places = range(len(self))[i]
        return self.name(places) if isinstance(places, int) else [self.name(place) for place in places]

    @abstractmethod
    def name(self, i: int) -> str:
        """Name i, from 0."""


class DocumentNames(AbstractNames):
    """Names in one array of bytes.

    Args:
        letters: UTF-8, uint8.
        bounds: where each name starts, and where the last one stops.
    """

    def __init__(self, letters: np.ndarray, bounds: np.ndarray) -> None:
        self.letters, self.bounds = letters, bounds

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def name(self, i: int) -> str:
        return self.letters[self.bounds[i] : self.bounds[i + 1]].tobytes().decode("utf-8", "surrogatepass")


class WindowNames(AbstractNames):
    """The document that each window starts in, and ``+N`` if it starts N tokens into it.

    Args:
        documents: the names of the documents.
        bounds: where each document starts, in tokens, and where the last one stops.
        length: T, the tokens of a window.
    """

    def __init__(self, documents: Sequence[str], bounds: np.ndarray, length: int) -> None:
        self.documents, self.bounds, self.length = documents, bounds, length

    def __len__(self) -> int:
        return -(-int(self.bounds[-1]) // self.length)

    def name(self, i: int) -> str:
        document, start = self.place(i)
        return document + (f"+{start}" if start else "")

    def place(self, i: int) -> tuple[str, int]:
        """The document that window i starts in, and the number of that document's tokens before it."""
        source = int(np.searchsorted(self.bounds, i * self.length, side="right")) - 1
        return self.documents[source], i * self.length - int(self.bounds[source])


class TextNames(AbstractNames):
    """The numbers of the texts that windows are of, for windows that hold no more than one text each.

    Args:
        texts: the index of each window's text, in order, shape (N,).
        length: T, the tokens of a window.
    """

    def __init__(self, texts: np.ndarray, length: int) -> None:
        self.texts, self.length = texts, length

    def __len__(self) -> int:
        return len(self.texts)

    def name(self, i: int) -> str:
        return str(self.texts[i])

    def place(self, i: int) -> tuple[str, int]:
        """The text that window i is of, and the number of that text's tokens before it."""
        return self.name(i), (i - int(np.searchsorted(self.texts, self.texts[i]))) * self.length
