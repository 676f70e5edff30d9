"""A corpus divided and tokenized: read bit by bit, and only once for each tokenizer where there is a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from ltm_pyro.data.cache import Cache, Entry, key_of
from ltm_pyro.data.cutting import check_cut, cut, sequences_of, tokenized
from ltm_pyro.data.document import Document
from ltm_pyro.data.encoded import Encoded, Encoder, Mode, creator
from ltm_pyro.data.outline import CorpusSummary
from ltm_pyro.data.round_trip import RoundTrip
from ltm_pyro.data.row_fields import Documents
from ltm_pyro.data.sequences import Sequences
from ltm_pyro.data.split import divide
from ltm_pyro.data.tokenizer import Tokenizer, train_tokenizer
from ltm_pyro.errors import InputError

FORMAT = "4"  # another one for every change of what the files hold
PARTS = ("training", "validation")
TOKENIZER = "tokenizer.json"
PIECE = 2**22  # numbers at once, of an array that may lie on disk


class Splits(NamedTuple):
    """Training and validation sequences, and their fingerprint if it was kept with them."""

    training: Sequences
    validation: Sequences
    fingerprint: str | None = None


class AnyDivision(Protocol):
    """A division of a corpus: it says which documents are held out."""

    @property
    def key(self) -> list[str]: ...
    def sides(self, documents: Iterable[Document]) -> Iterator[tuple[Document, bool]]: ...


Rule = Callable[[Documents, CorpusSummary, float, int], AnyDivision]


class DividedCorpus:
    """The two sides of a corpus, as text for a tokenizer to learn from and as sequences.

    The corpus is read once to find out what it holds and what of it is held out, and, where the cache does not have
    the result, once more for the tokenizer and once more for the sequences. Neither the text nor the tokens are ever
    in memory as a whole, unless they are small or there is no cache; a single document's text is.

    Args:
        corpus: the documents.
        validation: the share to hold out.
        seed: of which documents are held out.
        cache: where results are kept; None to keep the sequences in memory. One that cannot be written is no error.
        rule: what is held out, of the corpus, its outline, the share and the seed.
        values: the labels that are known; all those of the corpus if None.
        score_prompts: True if the tokens of prompts are scored, False if they are context alone.

    Attributes:
        outline: of the corpus.
        division: what is held out.
        remark: why nothing was kept in the cache, if that was tried.

    Raises:
        InputError: the corpus cannot be read, or not be divided.
    """

    def __init__(
        self,
        corpus: Documents,
        validation: float,
        seed: int,
        cache: Cache | None = None,
        rule: Rule = divide,
        values: Sequence[str] | None = None,
        score_prompts: bool = True,
    ) -> None:
        self.corpus, self.cache, self.score_prompts = corpus, cache, score_prompts
        self.remark = ""
        self.outline = CorpusSummary.of(corpus)
        self.division = rule(corpus, self.outline, validation, seed)
        self.values = self.outline.values if values is None else tuple(values)
        annotated = [*self.values, *(["context"] if not score_prompts else [])]
        self._key = (FORMAT, version("tokenizers"), self.outline.digest, key_of(*self.division.key), *annotated)

    def train_tokenizer(self, vocabulary: int) -> Tokenizer:
        """`train_tokenizer` on the training side.

        Raises:
            InputError: V is too small, or larger than the text supports.
        """
        key = key_of(*self._key, "tokenizer", str(vocabulary))
        if self.cache and (entry := self.cache.find(key)):
            with suppress(InputError):  # deleted just now
                return Tokenizer.load(entry.folder / TOKENIZER)
        sides = self.division.sides(self.outline.same(self.corpus))
        tokenizer = train_tokenizer((document.text for document, held_out in sides if not held_out), vocabulary)

        def fill(folder: Path) -> dict[str, Any]:
            tokenizer.save(folder / TOKENIZER)
            return {}

        self._keep(key, fill)
        return tokenizer

    def cut(self, mode: Mode, tokenizer: Tokenizer, length: int) -> Splits:
        """Both sides as sequences, as `ltm_pyro.data.cut` makes them.

        Raises:
            InputError: `mode` or `length` make no sense, or one side has no text.
        """
        check_cut(mode, length)
        found = self._mapped(mode, tokenizer, length) if self.cache else None
        return found or self._lay_out(self._encode(mode, tokenizer, length), mode, tokenizer, length)

    def held_out(self, mode: Mode, tokenizer: Tokenizer, length: int) -> Sequences:
        """The held-out side alone as sequences: from the cache if it is there, else nothing else is tokenized.

        Raises:
            InputError: as `cut`.
        """
        check_cut(mode, length)
        entry = self.cache.find(self._key_of(mode, tokenizer, length)) if self.cache else None
        if entry is not None:
            with suppress(OSError):  # deleted just now
                side = Encoded.load(entry.folder, PARTS[1], entry.notes[PARTS[1]])
                return sequences_of(mode, side, tokenizer, length)
        sides = self.division.sides(self.outline.same(self.corpus))
        held_out = (document for document, held_out in sides if held_out)
        return cut(mode, held_out, tokenizer, length, self.values, self.score_prompts)

    def _key_of(self, mode: Mode, tokenizer: Tokenizer, length: int) -> str:
        varying = str(length) if mode == "documents" else ""  # windows are the same tokens, whatever their length
        return key_of(*self._key, mode, varying, tokenizer.backend.to_str())

    def _mapped(self, mode: Mode, tokenizer: Tokenizer, length: int) -> Splits | None:
        """The sequences on disk, made unless they are there; None if they cannot be."""
        assert self.cache is not None
        key = self._key_of(mode, tokenizer, length)

        def fill(folder: Path) -> dict[str, Any]:
            with ExitStack() as files:
                encoders = [self._encoder(mode, tokenizer, length, creator(folder, part, files)) for part in PARTS]
                self._tokenize_into(encoders, tokenizer)
                return dict(zip(PARTS, (encoder.notes() for encoder in encoders), strict=True))

        entry = self.cache.find(key) or self._keep(key, fill)
        if entry is None:
            return None
        try:
            sides = [Encoded.load(entry.folder, part, entry.notes[part]) for part in PARTS]
        except OSError:  # deleted just now
            return None
        both = self._lay_out(sides, mode, tokenizer, length)
        return both._replace(fingerprint=entry.note(f"fingerprint-{length}", lambda: fingerprint(*both[:2])))

    def _encode(self, mode: Mode, tokenizer: Tokenizer, length: int) -> list[Encoded]:
        encoders = [self._encoder(mode, tokenizer, length) for _ in PARTS]
        self._tokenize_into(encoders, tokenizer)
        return [encoder.encoded() for encoder in encoders]

    def _encoder(
        self, mode: Mode, tokenizer: Tokenizer, length: int, create: Callable[[str], BinaryIO] | None = None
    ) -> Encoder:
        return Encoder(mode, tokenizer, length, create, self.values, self.score_prompts)

    def _tokenize_into(self, encoders: list[Encoder], tokenizer: Tokenizer) -> None:
        sides = self.division.sides(self.outline.same(self.corpus))
        trip = RoundTrip(tokenizer)
        for document, held_out, piece, in_prompt in tokenized(sides, tokenizer):
            encoders[held_out].add(document.name, *piece, in_prompt, document.label)
            if held_out:  # what is scored
                trip.add(document.text, piece.ids, piece.last)
        encoders[True].lost = trip.remark()

    def _lay_out(self, sides: list[Encoded], mode: Mode, tokenizer: Tokenizer, length: int) -> Splits:
        training, validation = (sequences_of(mode, side, tokenizer, length) for side in sides)
        return Splits(training, validation)

    def _keep(self, key: str, fill: Callable[[Path], dict[str, Any]]) -> Entry | None:
        if self.cache is None:
            return None
        try:
            return self.cache.add(key, fill)
        except OSError as error:  # full, or not to be written
            reason = error.strerror or error
            self.remark = f"tokens are not kept in {self.cache.folder} ({reason}), so they are made again each time"
            return None


def fingerprint(training: Sequences, validation: Sequences) -> str:
    """Identifies the sequences: equal corpora, splits and tokenizers have equal ones."""
    digest = hashlib.sha256()
    for sequences in (training, validation):
        for array in (sequences.tokens, sequences.bounds):
            for first in range(0, len(array), PIECE):
                digest.update(np.ascontiguousarray(array[first : first + PIECE]).data)
        annotations = sequences.annotations
        for name, column in annotations.columns.items():
            digest.update(f"{name} {annotations.values} {annotations.score_prompts}".encode())
            digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()[:16]
