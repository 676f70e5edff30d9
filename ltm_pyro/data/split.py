"""The split of a corpus into training and validation documents."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from ltm_pyro.data.content import content_hash
from ltm_pyro.data.division import Division
from ltm_pyro.data.document import Document
from ltm_pyro.data.outline import CorpusSummary
from ltm_pyro.data.stretch import Stretch
from ltm_pyro.errors import InputError

BOUNDARIES = ("\n\n", "\n", " ")


def split(
    documents: Sequence[Document], validation: float = 0.05, seed: int = 0
) -> tuple[list[Document], list[Document]]:
    """Split documents into training and validation, with equal texts and whole groups on one side.

    The groups are ordered by a hash of seed and group, and the first of them are held out, so that the choice does not
    depend on the order of the documents. Groups that share a text are joined, so that a repeated text is never on both
    sides. Both sides keep the order of the documents.

    In a corpus of a single group, such as one text file, the last part of the text is held out instead, for any seed.
    It is cut at the paragraph, line or word boundary nearest to the requested share, or exactly there if there is no
    boundary near.

    Args:
        documents: the corpus.
        validation: the share to hold out: of the groups, or of the characters of a single group.
        seed: another seed holds out other groups.

    Returns:
        Training and validation documents, at least one each.

    Raises:
        InputError: if the share is not between 0 and 1, or there is too little text to divide.
    """
    sides: tuple[list[Document], list[Document]] = ([], [])
    for document, held_out in divide(documents, CorpusSummary.of(documents), validation, seed).sides(documents):
        sides[held_out].append(document)
    return sides


def divide(documents: Iterable[Document], outline: CorpusSummary, validation: float, seed: int) -> Division:
    """The division that `split` holds out, by its content.

    Args:
        documents: the corpus, which can be iterated over again; it is read only if it is a single text or group.
        outline: summary of the corpus.
        validation, seed: as for `split`.

    Raises:
        InputError: if the share is not between 0 and 1, or there is too little text to divide.
    """
    if not 0 < validation < 1:
        raise InputError(f"validation is {validation}; expected a share between 0 and 1, such as 0.05")
    joined = _joined(outline)
    units = {joined.get(group, group) for group in outline.groups}
    if len(units) < 2 and outline.prompted:
        raise InputError("all rows of the corpus have one prompt, which cannot be on both sides: give more prompts")
    if len(units) < 2:
        return _divide_one(documents, outline, validation)
    drawn = draw(units, validation, seed)
    held_out = zip(outline.hashes, outline.groups, strict=True)
    return Division(Counter(content for content, group in held_out if joined.get(group, group) in drawn))


def draw(units: Collection[str], validation: float, seed: int) -> set[str]:
    """A share of two or more units, the first in order of a hash of seed and name: at least one, and not all."""
    count = min(max(round(validation * len(units)), 1), len(units) - 1)
    return set(heapq.nsmallest(count, units, key=lambda unit: _drawn(unit, seed)))


def _joined(outline: CorpusSummary) -> dict[str, str]:
    """For each group that shares a text with another one, the first name among all groups joined in this way."""
    contents, counts = np.unique(np.array(outline.hashes, np.uint64), return_counts=True)
    shared = set(contents[counts > 1].tolist())
    first: dict[int, str] = {}
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            group = parent[group] = parent[parent[group]]
        return group

    for content, group in zip(outline.hashes, outline.groups, strict=True):
        if content in shared:
            earlier, later = sorted((root(group), root(first.setdefault(content, group))))
            parent[later] = earlier
    return {group: root(group) for group in list(parent)}


def _divide_one(documents: Iterable[Document], outline: CorpusSummary, validation: float) -> Division:
    """Division that holds out the last part of the documents of one group, taken as one text."""
    if outline.documents > 1 and len(set(outline.hashes)) == 1:  # copies
        raise InputError(
            f"the corpus is one text, repeated {outline.documents} times: its held-out part would be learned from the "
            "copies. Give the text once, or more text"
        )
    before = outline.characters - max(round(validation * outline.characters), 1)
    sides = _cut(documents, before)
    learned = False
    names: Counter[int] = Counter()
    stretch = None
    for text, tail, is_document in sides:
        if not tail:
            learned = learned or bool(text.strip())
        elif is_document:
            names[content_hash(text)] += 1
        elif text.strip():
            stretch = Stretch.of(text)
    if not learned or not (names or stretch):
        raise InputError(
            f"the corpus has {outline.characters} characters in {outline.documents} document(s): too few to hold out "
            f"{validation:.0%} for validation. Give more text"
        )
    return Division(names, stretch)


def _cut(documents: Iterable[Document], before: int) -> Iterator[tuple[str, bool, bool]]:
    """Texts, each with two flags: it is after the boundary `before` characters in; it is a whole document."""
    tail = False
    for document in documents:
        text, is_document = document.text, True
        if not tail and before < len(text):
            at = boundary(text, before)
            yield text[:at], False, False
            text, tail, is_document = text[at:], True, False
        before -= len(document.text)
        yield text, tail, is_document


def _drawn(unit: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{unit}".encode("utf-8", "surrogatepass")).digest()


def boundary(text: str, target: int) -> int:
    """The end of the paragraph, line or word nearest to `target`, at most half the held-out tail away from it."""
    reach = (len(text) - target) // 2
    for mark in BOUNDARIES:
        earlier = text.rfind(mark, max(target - reach, 0), target)
        later = text.find(mark, target, target + reach)
        ends = [start + len(mark) for start in (earlier, later) if start >= 0]
        if ends:
            return min(ends, key=lambda end: abs(end - target))
    return target
