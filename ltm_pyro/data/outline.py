"""Summary of a corpus from one reading, so that the corpus need not be held in memory."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator

from ltm_pyro.data.content import content_hash
from ltm_pyro.data.document import Document
from ltm_pyro.errors import InputError


class CorpusSummary:
    """Size, content hashes and groups of a corpus.

    Attributes:
        documents, characters: their numbers.
        hashes: the content hash of every document, in their order.
        groups: the group of every document, in their order.
        values: the different labels of the documents, sorted.
        prompted: True if a document has a prompt.
    """

    def __init__(self) -> None:
        self.documents = self.characters = 0
        self.hashes = array("Q")
        self.groups: list[str] = []
        self.prompted = False
        self._values: set[str] = set()
        self._content = hashlib.sha256()

    @classmethod
    def of(cls, documents: Iterable[Document]) -> CorpusSummary:
        """The summary of a corpus, which is read once."""
        outline = cls()
        for document in documents:
            outline.add(document)
        return outline

    @property
    def digest(self) -> str:
        """Hash of the documents in their order: texts, names, groups, prompts and labels."""
        return self._content.hexdigest()

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(sorted(self._values))

    def add(self, document: Document) -> None:
        """Add one more document."""
        self.documents += 1
        self.characters += len(document.text)
        self.hashes.append(content_hash(document.text))
        self.groups.append(group_of(document))
        self.prompted = self.prompted or document.prompt > 0
        parts = [document.text, document.name, document.group]
        if document.prompt:
            parts.append(str(document.prompt))
        if document.label is not None:
            self._values.add(document.label)
            parts.append(document.label)
        for part in parts:
            raw = part.encode("utf-8", "surrogatepass")  # the names of files need not be Unicode
            self._content.update(len(raw).to_bytes(8, "little"))
            self._content.update(raw)

    def count(self, hashes: Iterable[int]) -> Counter[int]:
        """Number of documents for each of these content hashes; hashes that do not occur are left out."""
        requested = set(hashes)
        return Counter(content for content in self.hashes if content in requested)

    def same(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents of the corpus in a second reading, checked against this summary.

        Raises:
            InputError: at the end, if they have changed.
        """
        second = CorpusSummary()
        for document in documents:
            second.add(document)
            yield document
        if second.digest != self.digest:
            raise InputError("the corpus was changed while it was read: start again when its files are complete")


def group_of(document: Document) -> str:
    """The group of a document, whose documents are on one side of a split; without one, the document's name."""
    return document.group or document.name
