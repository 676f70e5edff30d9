"""The held-out part of a corpus, named by its content, so that it is known again in a corpus that has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ltm_pyro.data.content import HEX_DIGITS, content_hash
from ltm_pyro.data.document import Document
from ltm_pyro.data.outline import CorpusSummary
from ltm_pyro.data.stretch import Stretch

MOST_NAMED = 2**17  # documents that are written down: two megabytes


@dataclass(frozen=True)
class Division:
    """The held-out part of a corpus by content hashes; it holds no text.

    Args:
        names: how many documents of each content hash are held out.
        stretch: the part of a document that is held out, where the corpus is one text.
        complete: whether these are all that were held out, not the first of too many to write down.
    """

    names: Counter[int] = field(default_factory=Counter)
    stretch: Stretch | None = None
    complete: bool = True

    @property
    def key(self) -> list[str]:
        """Identifies it: equal divisions have equal ones."""
        names = [f"{name:0{HEX_DIGITS}x}*{count}" for name, count in sorted(self.names.items())]
        return [*names, *(str(number) for number in self.stretch or ())]

    @property
    def count(self) -> int:
        """How many documents, or stretches of one, are held out."""
        return self.names.total() + (self.stretch is not None)

    @property
    def kind(self) -> str:
        """The kind of things counted, as a message says it."""
        return "document" if self.stretch is None else "part of a document"

    def sides(self, documents: Iterable[Document]) -> Iterator[tuple[Document, bool]]:
        """Each document, and whether it is held out; one that holds the stretch is cut into what it is made of.

        A text that is held out never comes as one to learn from. Copies of it beyond those that were held out come on
        neither side.
        """
        left = Counter(self.names)
        stretches = int(self.stretch is not None)
        for document in documents:
            name = content_hash(document.text)
            if name in left:
                if left[name]:
                    left[name] -= 1
                    yield document, True
                continue
            for part, held_out in self._parts(document):
                if held_out:
                    stretches -= 1
                if part.text.strip() and (not held_out or stretches >= 0):
                    yield part, held_out

    def held_out(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents that are held out alone."""
        return (document for document, held_out in self.sides(documents) if held_out)

    def present(self, outline: CorpusSummary, documents: Iterable[Document]) -> Counter[int]:
        """The part of this division that a corpus holds, by content hash.

        Args:
            outline: of the corpus.
            documents: it; read for a stretch alone.
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
        """As plain values, for JSON: the hashes in hexadecimal, one after another."""
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
            ValueError, LookupError, TypeError: if it is not that.
        """
        digits = content["hashes"]
        if len(digits) % HEX_DIGITS:
            raise ValueError(f"{len(digits)} hexadecimal digits are no hashes of {HEX_DIGITS}")
        names = Counter(int(digits[i : i + HEX_DIGITS], 16) for i in range(0, len(digits), HEX_DIGITS))
        named = content.get("stretch")
        stretch = None if named is None else Stretch(*(int(named[part]) for part in Stretch._fields))
        return cls(names, stretch, complete=content["documents"] == names.total())
