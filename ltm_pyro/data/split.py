"""Holding out documents for validation."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ltm_pyro.data.document import Document
from ltm_pyro.data.outline import Outline, group_of
from ltm_pyro.errors import InputError

BOUNDARIES = ("\n\n", "\n", " ")


def split(
    documents: Sequence[Document], validation: float = 0.05, seed: int = 0
) -> tuple[list[Document], list[Document]]:
    """Divide documents into training and validation, whole groups to one side.

    The groups are ordered by a hash of seed and group, and the first of them are held out, so which ones they are
    does not depend on the order of the documents. Both sides keep the order the documents came in.

    A corpus of a single group, such as one text file, has no groups to hold out: there the last part of the text is
    held out, cut at the paragraph, line or word boundary nearest to the share asked for (anywhere, where there is
    none near), whatever the seed.

    Args:
        documents: the corpus.
        validation: the share to hold out: of the groups, or of the characters of a single group.
        seed: another seed holds out other groups.

    Returns:
        Training and validation documents, at least one each.

    Raises:
        InputError: the share is not between 0 and 1, or there is too little text to divide.
    """
    sides: tuple[list[Document], list[Document]] = ([], [])
    for document, held_out in divide(Outline.of(documents), validation, seed).sides(documents):
        sides[held_out].append(document)
    return sides


@dataclass(frozen=True)
class Division:
    """What of a corpus is held out; it tells without holding the corpus.

    Args:
        groups: those held out; None for a corpus of a single group.
        before: the characters of a single group that are not held out, more or less.
        remark: what to say if one side stays empty.
    """

    groups: frozenset[str] | None
    before: int
    remark: str

    def sides(self, documents: Iterable[Document]) -> Iterator[tuple[Document, bool]]:
        """Each document, and whether it is held out; the document that the boundary goes through becomes two.

        Raises:
            InputError: at the end, if one side is empty.
        """
        seen = set()
        for document, held_out in self._all_sides(documents):
            seen.add(held_out)
            yield document, held_out
        if len(seen) < 2:
            raise InputError(self.remark)

    def _all_sides(self, documents: Iterable[Document]) -> Iterator[tuple[Document, bool]]:
        if self.groups is None:
            return ((document, held_out) for document, held_out in self._cut(documents) if document.text.strip())
        return ((document, group_of(document) in self.groups) for document in documents)

    def _cut(self, documents: Iterable[Document]) -> Iterator[tuple[Document, bool]]:
        """Cut the documents of one group, taken as one text, so that its last part is held out."""
        before, held_out = self.before, False
        for document in documents:
            if not held_out and before < len(document.text):
                at = _boundary(document.text, before)
                yield document._replace(text=document.text[:at]), False
                document = document._replace(text=document.text[at:], name=f"{document.name} (tail)")
                held_out = True
            before -= len(document.text)
            yield document, held_out


def divide(outline: Outline, validation: float, seed: int) -> Division:
    """What `split` holds out of a corpus of which only the outline is known.

    Raises:
        InputError: the share is not between 0 and 1.
    """
    if not 0 < validation < 1:
        raise InputError(f"validation is {validation}; expected a share between 0 and 1, such as 0.05")
    remark = (
        f"the corpus has {outline.characters} characters in {outline.documents} document(s): too few to hold out "
        f"{validation:.0%} for validation. Give more text"
    )
    if len(outline.groups) < 2:
        return Division(None, outline.characters - max(round(validation * outline.characters), 1), remark)
    groups = outline.groups
    count = min(max(round(validation * len(groups)), 1), len(groups) - 1)
    first = heapq.nsmallest(count, groups, key=lambda group: _drawn(group, seed))
    return Division(frozenset(first), 0, remark)


def _drawn(group: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{group}".encode("utf-8", "surrogatepass")).digest()


def _boundary(text: str, target: int) -> int:
    """The end of the paragraph, line or word nearest to `target`, at most half the held-out tail away from it."""
    reach = (len(text) - target) // 2
    for mark in BOUNDARIES:
        earlier = text.rfind(mark, max(target - reach, 0), target)
        later = text.find(mark, target, target + reach)
        ends = [found + len(mark) for found in (earlier, later) if found >= 0]
        if ends:
            return min(ends, key=lambda end: abs(end - target))
    return target
