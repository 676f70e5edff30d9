"""A document: the unit in which text is read and split."""

from __future__ import annotations

from typing import NamedTuple


class Document(NamedTuple):
    """A text and its source.

    Args:
        text: the text itself, with LF line ends.
        name: its source: a file, a file and a row, an address. Used in messages and as an identifier.
        group: documents of one group never fall on both sides of a split. Empty: the document is its own group.
        prompt: number of characters at the beginning of the text that are its prompt; the rest is the answer to it.
        label: the text's value of another field; None without one.
    """

    text: str
    name: str
    group: str = ""
    prompt: int = 0
    label: str | None = None
