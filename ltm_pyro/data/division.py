"""The held-out part of a corpus, identified by content, so that it can be found in a corpus that has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ltm_pyro.data.content import HEX_DIGITS, content_hash
from ltm_pyro.data.document import Document
from ltm_pyro.data.outline import CorpusSummary
from ltm_pyro.data.stretch import Stretch

MOST_NAMED = 2**17  # documents that are recorded: two megabytes


@dataclass(frozen=True)
class Division:
    """The held-out part of a corpus by content hashes; it holds no text.

    Args:
        names: number of held-out documents by content hash.
        stretch: the held-out part of a document, if the corpus is one text.
        complete: False if only the first of the held-out documents are named, since they are too many to record.
    """

    names: Counter[int] = field(default_factory=Counter)
    stretch: Stretch | None = None
    complete: bool = True

    @property
    def key(self) -> list[str]:
        """Key of the division: equal divisions have equal keys."""
        names = [f"{name:0{HEX_DIGITS}x}*{count}" for name, count in sorted(self.names.items())]
        return [*names, *(str(number) for number in self.stretch or ())]

    @property
    def count(self) -> int:
        """Number of held-out documents, or of stretches of one."""
        return self.names.total() + (self.stretch is not None)

    @property
    def kind(self) -> str:
        """The unit of `count`, for a message."""
        return "document" if self.stretch is None else "part of a document"

    def sides(self, documents: Iterable[Document]) -> Iterator[tuple[Document, bool]]:
        """Each document with its side (True: held out); a document that contains the stretch is divided around it.

        A held-out text is never on the training side. Copies of it beyond the held-out number are on neither side.
        """
        remaining = Counter(self.names)
        stretches = int(self.stretch is not None)
        for document in documents:
            name = content_hash(document.text)
            if name in remaining:
                if remaining[name]:
                    remaining[name] -= 1
                    yield document, True
                continue
            for part, held_out in self._parts(document):
                if held_out:
                    stretches -= 1
                if part.text.strip() and (not held_out or stretches >= 0):
                    yield part, held_out

    def held_out(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The held-out documents."""
        return (document for document, held_out in self.sides(documents) if held_out)

    def present(self, outline: CorpusSummary, documents: Iterable[Document]) -> Counter[int]:
        """The part of this division that a corpus holds, by content hash.

        Args:
            outline: of the corpus.
            documents: the corpus, which is read only to find a stretch.
        """
        if self.stretch is None:
            return outline.count(self.names) & self.names
        return Counter(content_hash(document.text) for document in self.held_out(documents))

    def _parts(self, document: Document) -> Iterator[tuple[Document, bool]]:
        place = self.stretch.find(document.text) if self.stretch else None
        if place is None:
            yield document, False
            return
        start, end = place
        yield document._replace(text=document.text[:start]), False
        name = f"{document.name} (tail)" if start else document.name
        yield document._replace(text=document.text[start:end], name=name), True
        yield document._replace(text=document.text[end:], name=f"{document.name} (added)"), False

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the hashes in hexadecimal, concatenated."""
        names = list(self.names.elements())[:MOST_NAMED]
        content: dict[str, Any] = {"documents": self.names.total()}
        content["hashes"] = "".join(f"{name:0{HEX_DIGITS}x}" for name in names)
        if self.stretch is not None:
            content["stretch"] = {key: str(value) for key, value in self.stretch._asdict().items()}
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Division:
        """The division that `to_dict` described.

        Raises:
            ValueError, LookupError, TypeError: if the content is no division.
        """
        digits = content["hashes"]
        if len(digits) % HEX_DIGITS:
            raise ValueError(f"{len(digits)} hexadecimal digits are no hashes of {HEX_DIGITS}")
        names = Counter(int(digits[i : i + HEX_DIGITS], 16) for i in range(0, len(digits), HEX_DIGITS))
        named = content.get("stretch")
        stretch = None if named is None else Stretch(*(int(named[part]) for part in Stretch._fields))
        return cls(names, stretch, complete=content["documents"] == names.total())
