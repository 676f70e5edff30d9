"""Reading a corpus: the built-in one, files and folders, or a data set of the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ltm_pyro.data.document import Document
from ltm_pyro.data.fields import NoFieldError
from ltm_pyro.data.files import read_files
from ltm_pyro.data.hub import PREFIX, parse_hub_name, read_hub
from ltm_pyro.data.remarks import Remarks
from ltm_pyro.data.sotu import read_sotu
from ltm_pyro.data.sources import BUILT_IN, Source, sources_of

KEPT_CHARACTERS = 2**26  # of a corpus that is kept, so that it need not be read twice

__all__ = ["BUILT_IN", "Corpus", "Document", "describe", "read_corpus"]


def read_corpus(spec: Source | Sequence[Source] | None = None, field: str | None = None) -> list[Document]:
    """The documents of a corpus.

    Args:
        spec: None or ``sotu`` for the built-in corpus (all State of the Union addresses, grouped by year); a file or
            folder (``.txt``, ``.jsonl``, ``.json``, ``.csv``, ``.parquet``); ``hf:NAME[:CONFIG[:SPLIT]]``; or several
            of these, in a sequence or joined by commas. A path that exists is taken as it is, commas and all. A file
            that is itself called ``sotu`` is written ``./sotu``.
        field: the field that holds the text, ``text`` unless named; within an object ``meta.text`` or ``/meta/text``.

    Returns:
        The documents, none of them empty, in an order that depends on the data alone.

    Raises:
        InputError: something cannot be read; the message names the file, the place in it and the remedy.
    """
    return list(Corpus(spec, field))


class Corpus:
    """The documents of a corpus, read anew each time they are iterated over; a small corpus is kept instead.

    So a corpus may be larger than memory; a single document may not.

    Args:
        spec, field: as `read_corpus` takes them.

    Attributes:
        remarks: what was left out, and how files were read that could be read otherwise; complete once it is read.

    Raises:
        InputError: as `read_corpus`, in part while iterating.
    """

    def __init__(self, spec: Source | Sequence[Source] | None = None, field: str | None = None) -> None:
        self._sources, self._field = sources_of(spec), field
        self._remarks = Remarks()
        self._kept: list[Document] | None = None

    @property
    def remarks(self) -> list[str]:
        """One line each."""
        return self._remarks.lines()

    def __iter__(self) -> Iterator[Document]:
        return self._read() if self._kept is None else iter(self._kept)

    def _read(self) -> Iterator[Document]:
        kept: list[Document] | None = []
        characters = 0
        for document in self._all():
            characters += len(document.text)
            if kept is not None:
                kept.append(document)
                kept = kept if characters <= KEPT_CHARACTERS else None
            yield document
        self._kept = kept

    def _all(self) -> Iterator[Document]:
        hub = [source for source in self._sources if source.startswith(PREFIX)]
        paths = [source for source in self._sources if source != BUILT_IN and not source.startswith(PREFIX)]
        if self._field is not None and self._sources == [BUILT_IN]:
            raise NoFieldError(f"the built-in corpus has no field {self._field!r}.", "Leave --data.field out")
        if BUILT_IN in self._sources:
            yield from read_sotu()
        if paths:
            yield from read_files(paths, self._field, self._remarks)
        for source in hub:
            yield from read_hub(source, self._field)


def describe(spec: Source | Sequence[Source] | None = None) -> str:
    """One line on where `read_corpus` is about to read, to be shown before it starts, since a hub can be slow."""
    return "; ".join(_describe_one(source) for source in sources_of(spec))


def _describe_one(source: str) -> str:
    if source == BUILT_IN:
        return "reading the built-in corpus, all State of the Union addresses"
    if source.startswith(PREFIX):
        return (
            f"loading {parse_hub_name(source)} from the Hugging Face hub: it needs a network the first time, and takes "
            "half a minute to fail without one; the path of a local file works too"
        )
    return f"reading {source}"
