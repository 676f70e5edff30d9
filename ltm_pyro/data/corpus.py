"""Reading of a corpus: the built-in one, files and folders, or a data set of the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ltm_pyro.data.document import Document
from ltm_pyro.data.fields import Convert, NoFieldError, as_text
from ltm_pyro.data.files import read_files
from ltm_pyro.data.hub import PREFIX, parse_hub_name, read_hub
from ltm_pyro.data.remarks import Remarks
from ltm_pyro.data.sotu import read_sotu
from ltm_pyro.data.sources import BUILT_IN, Source, sources_of

KEPT_CHARACTERS = 2**26  # of a corpus that is held in memory after the first reading

__all__ = ["BUILT_IN", "Corpus", "Document", "describe", "read_corpus"]


def read_corpus(spec: Source | Sequence[Source] | None = None, field: str | None = None) -> list[Document]:
    """The documents of a corpus.

    Args:
        spec: None or ``sotu`` for the built-in corpus (all State of the Union addresses, grouped by year); a file or
            folder (``.txt``, ``.jsonl``, ``.json``, ``.csv``, ``.parquet``); ``hf:NAME[:CONFIG[:SPLIT]]``; or several
            of these, in a sequence or joined by commas. A path that exists is not divided at its commas. A file named
            ``sotu`` is written ``./sotu``.
        field: the field that holds the text, ``text`` if None; within an object ``meta.text`` or ``/meta/text``.

    Returns:
        The documents, none of them empty, in an order that depends on the data alone.

    Raises:
        InputError: if a source cannot be read, naming the file, the place in it and the remedy.
    """
    return list(Corpus(spec, field))


class Corpus:
    """The documents of a corpus, read anew at each iteration; a small corpus is kept in memory.

    A corpus may be larger than memory; a single document may not.

    Args:
        spec, field: as `read_corpus` takes them.
        convert: the text of a field's value; `as_value` reads labels, which may be numbers.

    Attributes:
        remarks: messages about files that were skipped or are ambiguous; complete once the corpus has been read.

    Raises:
        InputError: as `read_corpus`, in part while iterating.
    """

    def __init__(
        self,
        spec: Source | Sequence[Source] | None = None,
        field: str | None = None,
        convert: Convert = as_text,
    ) -> None:
        self._sources, self._field, self._convert = sources_of(spec), field, convert
        self._remarks = Remarks()
        self._kept: list[Document] | None = None

    @property
    def remarks(self) -> list[str]:
        """Messages about the files, one line each."""
        return self._remarks.lines()

    def __iter__(self) -> Iterator[Document]:
        return self._read() if self._kept is None else iter(self._kept)

    def _read(self) -> Iterator[Document]:
        cached: list[Document] | None = []
        characters = 0
        for document in self._all():
            characters += len(document.text)
            if cached is not None:
                cached.append(document)
                cached = cached if characters <= KEPT_CHARACTERS else None
            yield document
        self._kept = cached

    def _all(self) -> Iterator[Document]:
        hub = [source for source in self._sources if source.startswith(PREFIX)]
        paths = [source for source in self._sources if source != BUILT_IN and not source.startswith(PREFIX)]
        if self._field is not None and self._sources == [BUILT_IN]:
            raise NoFieldError(f"the built-in corpus has no field {self._field!r}.", "Leave --data.field out")
        if BUILT_IN in self._sources and self._convert is as_text:  # its documents have no other field
            yield from read_sotu()
        if paths:
            yield from read_files(paths, self._field, self._remarks, self._convert)
        for source in hub:
            yield from read_hub(source, self._field, self._convert)


def describe(spec: Source | Sequence[Source] | None = None) -> str:
    """One line that names the sources of `read_corpus`, to show before it starts, since a hub can be slow."""
    return "; ".join(_describe_one(source) for source in sources_of(spec))


def _describe_one(source: str) -> str:
    if source == BUILT_IN:
        return "reading the built-in corpus, all State of the Union addresses"
    if source.startswith(PREFIX):
        return (
            f"loading {parse_hub_name(source)} from the Hugging Face hub: this needs a network the first time, and "
            "fails after half a minute without one; the path of a local file works too"
        )
    return f"reading {source}"
