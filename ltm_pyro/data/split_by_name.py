"""The split of earlier versions, in which a repeated text could be on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ltm_pyro.data.content import content_hash
from ltm_pyro.data.division import Division
from ltm_pyro.data.document import Document
from ltm_pyro.data.outline import CorpusSummary, group_of
from ltm_pyro.data.split import divide, draw


@dataclass(frozen=True)
class DivisionByName:
    """The held-out groups of a corpus by name, valid only for the unchanged corpus.

    Args:
        groups: the held-out groups.
    """

    groups: frozenset[str]

    @property
    def key(self) -> list[str]:
        """Key of the division: equal divisions have equal keys."""
        return ["by name", *sorted(self.groups)]

    def sides(self, documents: Iterable[Document]) -> Iterator[tuple[Document, bool]]:
        """Each document with its side (True: held out)."""
        return ((document, group_of(document) in self.groups) for document in documents)

    def by_content(self, documents: Iterable[Document]) -> Division:
        """The division by content hashes, without held-out texts that are also on the training side."""
        hashes: tuple[list[int], list[int]] = ([], [])
        for document, held_out in self.sides(documents):
            hashes[held_out].append(content_hash(document.text))
        learned = set(hashes[0])
        return Division(Counter(name for name in hashes[1] if name not in learned))


def divide_by_name(
    documents: Iterable[Document], outline: CorpusSummary, validation: float, seed: int
) -> Division | DivisionByName:
    """The division of runs of earlier versions; a single text is divided as by `divide`.

    Args:
        documents, outline, validation, seed: as for `divide`.

    Raises:
        InputError: as `divide`.
    """
    groups = set(outline.groups)
    if len(groups) < 2 or not 0 < validation < 1:
        return divide(documents, outline, validation, seed)
    return DivisionByName(frozenset(draw(groups, validation, seed)))
