"""Texts of a run's corpus with their values of another field of the corpus."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ltm_pyro.data.fields import DEFAULT_FIELD, NoFieldError
from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.training.data_module import corpus_of

if TYPE_CHECKING:
    from ltm_pyro.data import Document, Sequences
    from ltm_pyro.training.held_out import RunText
    from ltm_pyro.training.run import Run


class LabelledText(NamedTuple):
    """Sequences of documents that have a value.

    Args:
        sequences: N of them, each of one document.
        rows: numbers of the chosen sequences, (N,).
        texts: the document of each chosen sequence by its number, (N,).
        values: the value of each of the M documents.
    """

    sequences: Sequences
    rows: np.ndarray
    texts: np.ndarray
    values: list[str]

    def of_values(self, known: set[str]) -> LabelledText:
        """The part whose values are among those given."""
        kept = [number for number, value in enumerate(self.values) if value in known]
        number = np.full(len(self.values), -1)
        number[kept] = np.arange(len(kept))
        inside = number[self.texts] >= 0
        return LabelledText(
            self.sequences,
            self.rows[inside],
            number[self.texts[inside]],
            [self.values[i] for i in kept],
        )


class LabelledCorpus(NamedTuple):
    """Both sides of a run's corpus, and the number of documents without a value."""

    training: LabelledText
    held_out: LabelledText
    unlabelled: int


def labelled_corpus(
    run: Run, text: RunText, field: str, limit: int | None, held_out_limit: int | None, seed: int
) -> LabelledCorpus:
    """Texts of both sides of a run's corpus with their values of a field, chosen at random by the seed.

    A sequence is cut from one document alone; a run of windows has several for a long document, of which some are
    chosen.

    Args:
        run: the run.
        text: its text, as it is now.
        field: the field beside the text.
        limit, held_out_limit: the most sequences of each side; all if None.
        seed: of the choice.

    Raises:
        InputError: if the corpus has no such field, the field is the text itself, or a side has no document with a
            value.
    """
    values = _values(run, text, field)
    samples = _Sample(limit, seed), _Sample(held_out_limit, seed)
    unlabelled = 0
    for document, held_out in text.sides():
        name = document.name
        if value := values.get(name):
            samples[held_out].add(document, value)
        else:
            unlabelled += 1
    for sample, side in zip(samples, ("training", "held-out"), strict=True):
        if not sample.heap:
            raise InputError(f"no {side} document of {run.folder} has a value of {field!r}: name another field")
    if all(document.text.strip() == value for sample in samples for document, value in sample.chosen()):
        raise InputError(f"--attribute {field}: this field is the text itself. Name one beside it")
    return LabelledCorpus(samples[0].cut(run), samples[1].cut(run), unlabelled)


def most_common(values: list[str], most: int = 8) -> str:
    """Listing of the most frequent values, for a message."""
    counts = Counter(values)
    named = [value if len(value) <= 40 else f"{value[:40]}..." for value, _ in counts.most_common(most)]
    return ", ".join([*named, *["..."] * (len(counts) > most)])


def _values(run: Run, text: RunText, field: str) -> dict[str, str]:
    from ltm_pyro.data import field_values

    if text.given:
        raise InputError(f"{run.folder} was trained on sequences given from Python, which have no fields")
    own = run.config.data.field or DEFAULT_FIELD
    if field == own:
        raise InputError(f"--attribute {field}: this field is the text itself. Name one beside it")
    try:
        return field_values(corpus_of(text.config), field)
    except NoFieldError as error:
        others = [name for name in error.names if name != own]
        hint = did_you_mean(field, others)
        remedy = f"{hint}Give --attribute FIELD" if others else "A control takes a corpus with a field beside the text"
        raise InputError(f"{error.found} {remedy[0].upper()}{remedy[1:]}") from error


class _Sample:
    """The documents with the lowest hashes of a seed and their names, so that the choice does not depend on the order.

    Args:
        limit: the most documents and sequences; all if None.
        seed: another seed chooses others.
    """

    def __init__(self, limit: int | None, seed: int) -> None:
        self.limit, self.seed = limit, seed
        self.heap: list[tuple[int, int, Document, str]] = []  # the highest hash first
        self.count = 0

    def add(self, document: Document, value: str) -> None:
        digest = hashlib.sha256(f"{self.seed}\0{document.name}".encode("utf-8", "surrogatepass")).digest()
        self.count += 1
        heapq.heappush(self.heap, (-int.from_bytes(digest[:8], "big"), self.count, document, value))
        if self.limit is not None and len(self.heap) > self.limit:
            heapq.heappop(self.heap)

    def chosen(self) -> list[tuple[Document, str]]:
        """The documents with their values, in the order of the corpus."""
        return [(document, value) for _, _, document, value in sorted(self.heap, key=lambda item: item[1])]

    def cut(self, run: Run) -> LabelledText:
        """The documents cut into sequences as the run cuts its corpus, of which at most `limit` are chosen."""
        from ltm_pyro.data import text_sequences

        data, chosen = run.config.data, self.chosen()
        cut = text_sequences(data.mode, [document.text for document, _ in chosen], run.tokenizer, data.length)
        count = len(cut.sequences)
        rows = np.arange(count)
        if self.limit is not None and count > self.limit:
            rows = np.sort(np.random.default_rng(self.seed).choice(count, self.limit, replace=False))
        kept, texts = np.unique(cut.texts[rows], return_inverse=True)
        return LabelledText(cut.sequences, rows, texts, [chosen[number][1] for number in kept])
