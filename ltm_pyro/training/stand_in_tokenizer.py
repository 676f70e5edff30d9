"""A stand-in for the tokenizer of a run that has none yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class StandInTokenizer(NamedTuple):
    """Tokenizer of a dry run, in which any ids are the empty text.

    Attributes:
        vocabulary: V.
        bos_id: the token id before a text.
    """

    vocabulary: int = 2
    bos_id: int = 0

    def decode(self, ids: Iterable[int]) -> str:
        """The empty text."""
        return ""
