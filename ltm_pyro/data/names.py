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
        source = int(np.searchsorted(self.bounds, i * self.length, side="right")) - 1
        inside = i * self.length - int(self.bounds[source])
        return self.documents[source] + (f"+{inside}" if inside else "")
