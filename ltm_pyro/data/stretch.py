"""A part of a document, identified by its content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ltm_pyro.data.content import content_hash

HEAD = 32  # characters compared at every place of a text; where they agree, the whole stretch is compared
BASE = np.uint64(0x9E3779B97F4A7C15)  # of the polynomial hash of a head
BLOCK = 2**20  # characters hashed at once
CANDIDATES = 1000  # the most places with an equal head at which the whole stretch is compared


class Stretch(NamedTuple):
    """A part of a document, without the white space at its end, by length and content hash.

    Args:
        length: number of characters.
        head: polynomial hash of the first characters, by which the part is found in a long text.
        content: content hash of the whole part.
    """

    length: int
    head: int
    content: int

    @classmethod
    def of(cls, text: str) -> Stretch:
        """The stretch of a part's text."""
        text = text.rstrip()
        head = next(_hashes(text[: _width(len(text))], _width(len(text))))
        return cls(len(text), int(head[0]), content_hash(text))

    def find(self, text: str) -> tuple[int, int] | None:
        """Start and end in a text, white space after it included at the end of the text; None if it does not occur.

        The search takes linear time, since the heads of all places are compared at once.
        """
        end = len(text.rstrip())
        if self.length > end:
            return None
        for start in self._candidates(text, end):
            stop = start + self.length
            if content_hash(text[start:stop]) == self.content:
                return start, len(text) if stop == end else stop
        return None

    def _candidates(self, text: str, end: int) -> Iterator[int]:
        """Candidate places: first that at the end of the text, its original place, then those with an equal head."""
        yield end - self.length
        width, budget = _width(self.length), CANDIDATES
        for block, hashes in enumerate(_hashes(text, width)):
            for place in np.flatnonzero(hashes == np.uint64(self.head))[:budget]:
                budget -= 1
                yield block * BLOCK + int(place)


def _width(length: int) -> int:
    """The largest power of two within both the length and `HEAD`."""
    return min(HEAD, 1 << (length.bit_length() - 1))


def _hashes(text: str, width: int) -> Iterator[np.ndarray]:
    """Hashes of the `width` characters from every place on, in blocks of places; width is a power of two."""
    for first in range(0, max(len(text) - width + 1, 0), BLOCK):
        raw = text[first : first + BLOCK + width - 1].encode("utf-32-le", "surrogatepass")
        hashes, power, reach = np.frombuffer(raw, np.uint32).astype(np.uint64), BASE, 1
        while reach < width:
            hashes = hashes[:-reach] * power + hashes[reach:]  # modulo 2⁶⁴
            with np.errstate(over="ignore"):
                power, reach = power * power, 2 * reach
        yield hashes
