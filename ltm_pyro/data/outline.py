"""A summary of a corpus from one reading, so that the corpus need not be held in memory."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator

from ltm_pyro.data.content import content_hash
from ltm_pyro.data.document import Document
from ltm_pyro.errors import InputError


class CorpusSummary:
    """Size, texts and groups of a corpus.

    Attributes:
        documents, characters: how many there are.
        hashes: the content hash of every document, in their order.
        groups: the group of every document, in their order.
    """

    def __init__(self) -> None:
        self.documents = self.characters = 0
        self.hashes = array("Q")
        self.groups: list[str] = []
        self._content = hashlib.sha256()

    @classmethod
    def of(cls, documents: Iterable[Document]) -> CorpusSummary:
        """Read a corpus for its outline."""
        outline = cls()
        for document in documents:
            outline.add(document)
        return outline

    @property
    def digest(self) -> str:
        """Identifies the documents in their order: texts, names and groups."""
        return self._content.hexdigest()

    def add(self, document: Document) -> None:
        """Take note of one more document."""
        self.documents += 1
        self.characters += len(document.text)
        self.hashes.append(content_hash(document.text))
        self.groups.append(group_of(document))
        for part in document:
            raw = part.encode("utf-8", "surrogatepass")  # the names of files need not be Unicode
            self._content.update(len(raw).to_bytes(8, "little"))
            self._content.update(raw)

    def count(self, hashes: Iterable[int]) -> Counter[int]:
        """How often the texts of these hashes are there; those that are not are left out."""
        wanted = set(hashes)
        return Counter(content for content in self.hashes if content in wanted)

    def same(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents, which are to be those of this outline once more.

        Raises:
            InputError: at the end, if they are not.
        """
        again = CorpusSummary()
        for document in documents:
            again.add(document)
            yield document
        if again.digest != self.digest:
            raise InputError("the corpus was changed while it was read: start again when its files are complete")


def group_of(document: Document) -> str:
    """Documents of one group stay together; one without a group is alone."""
    return document.group or document.name
