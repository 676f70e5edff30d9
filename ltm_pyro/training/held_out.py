"""The text of a run in its present corpus: the held-out part, identified by content, and the training part."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.training.data_module import (
    DIGEST,
    HELD_OUT,
    LABELS,
    REFINED,
    DataModule,
    DataRecord,
    divided_corpus,
    prepare_data,
)
from ltm_pyro.training.given_text import GIVEN, content, read_held_out, refuse_given
from ltm_pyro.training.places import refuse_missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from jsonargparse import Namespace

    from ltm_pyro.data import Division, Document, Sequences
    from ltm_pyro.data.divided import AnyDivision, Rule
    from ltm_pyro.data.outline import CorpusSummary
    from ltm_pyro.training.run import Run

DATA = "data.json"
CORPUS = "corpus"  # entry of data.json: the place of the text when the run was last resumed


class RunText:
    """The text of a run, divided as in training.

    Held-out documents are identified by content in the corpus as it is now, so that a text which the run was trained
    on is never scored as held out. A run with imported weights held out nothing: its text is the built-in corpus, of
    which a share is held out here.

    Args:
        run: the run.
        place: the place of its corpus now; unchanged if None.

    Attributes:
        name: for names of files: `validation`, with the number of documents if some are missing; `sotu` for imported
            weights.
        about: description of the held-out text.
        texts: content hashes of the held-out documents in the corpus.

    Raises:
        InputError: if the corpus cannot be read, or holds nothing of the held-out text.
    """

    def __init__(self, run: Run, place: str | None = None) -> None:
        self.run = run
        self.imported = not (run.folder / DATA).is_file() and not run.metrics.path.exists()
        self.saved: dict[str, Any] = {} if self.imported else run.read_json(DATA, DataRecord)
        self.config = with_place(run, self.saved, place)
        if self.given:
            self._take_given(place)
            return
        refuse_missing(run.folder, self.config)
        self._divided = divided_corpus(self.config, self._rule(), self.saved.get(LABELS))
        self.division: Division = self._divided.division  # type: ignore[assignment]  # the rules below give no other
        self.texts = self.division.present(self._divided.outline, self._divided.corpus)
        self._refuse_nothing()
        self.name, self.about = self._described()

    @property
    def given(self) -> bool:
        """True if the run's sequences were given from Python; the held-out ones are then in its folder."""
        return bool(self.saved.get(GIVEN))

    def _take_given(self, place: str | None) -> None:
        from ltm_pyro import data

        if place is not None:
            raise InputError(f"{self.run.folder} was trained on sequences given from Python: leave --corpus_at out")
        self.texts = content(self.held_out)
        self.division = data.Division(self.texts)
        self.name = "validation"
        self.about = f"held-out sequences given from Python, {len(self.held_out):,} of them"

    @cached_property
    def held_out(self) -> Sequences:
        """The held-out text that is in the corpus, cut as in training."""
        if self.given:
            return read_held_out(self.run.folder)
        data = self.run.config.data
        sequences = self._divided.held_out(data.mode, self.run.tokenizer, data.length)
        if not len(sequences):
            raise InputError(f"the held-out text of {self.run.folder} gives no sequence: it is too small")
        return sequences

    @cached_property
    def training(self) -> Sequences:
        """The rest of the corpus as it is now, cut as in training."""
        refuse_given(self.run.folder, self.saved)
        data = self.run.config.data
        return self._divided.cut(data.mode, self.run.tokenizer, data.length).training

    def sides(self) -> Iterator[tuple[Document, bool]]:
        """Each document of the corpus as it is now, with its side (True: held out)."""
        refuse_given(self.run.folder, self.saved)
        return self.division.sides(self._divided.outline.same(self._divided.corpus))

    def _rule(self) -> Rule:
        from ltm_pyro import data

        if self.imported:
            return data.divide
        if HELD_OUT not in self.saved:
            return _as_it_was(self.run, self.saved, self.config)
        division = read_division(self.run, self.saved)

        def named(documents: Iterable[Document], outline: CorpusSummary, validation: float, seed: int) -> AnyDivision:
            unchanged = self.saved.get(DIGEST) == outline.digest
            return division if division.complete or not unchanged else data.divide(documents, outline, validation, seed)

        return named

    def _refuse_nothing(self) -> None:
        if not self.texts:
            corpus = self.config.get("corpus") or "the built-in corpus"
            raise InputError(
                f"none of the held-out text of {self.run.folder} is in {corpus} as it is now. Restore the text, give "
                "its place by --corpus_at PLACE, or score a text that the run was not trained on: `ltm evaluate RUN "
                "TEXT`"
            )

    def _described(self) -> tuple[str, str]:
        present, held_out, kind = self.texts.total(), self.division.count, self.division.kind
        if self.imported:
            return "sotu", (
                "imported weights, nothing was held out: this is a share of the built-in corpus, the State of the "
                "Union addresses"
            )
        if present == held_out and self.division.complete:
            several = f"all {held_out:,} {kind}s" if held_out > 1 else f"one {kind}"
            return "validation", f"held-out text, {several}"
        of = held_out if self.division.complete else self.saved[HELD_OUT]["documents"]
        about = f"held-out text, {present:,} of {of:,} {kind}s: the corpus has changed and lacks the others"
        return f"validation-{present}-of-{of}-documents", about


def refuse_refined(folder: Path, saved: Mapping[str, Any]) -> None:
    """Refuse to resume a refined run as if it had been trained on its corpus: the weights learned from attempts.

    Raises:
        InputError: with the commands that go on.
    """
    if saved.get(REFINED):
        raise InputError(
            f"{folder} was refined from {saved[REFINED]!r:.120}: an interrupted refinement goes on by its own command "
            f"with --resume; a finished one is refined again by `ltm refine {folder}`, or trained on text by `ltm "
            f"train --train.start_from {folder}`"
        )


def prepare_again(run: Run, saved: dict[str, Any], place: str | None = None) -> DataModule:
    """The data of a run, read again; if the corpus has changed, the fingerprint differs."""
    from ltm_pyro import data

    refuse_given(run.folder, saved)
    config = with_place(run, saved, place)
    refuse_missing(run.folder, config)
    return prepare_data(
        config, run.tokenizer, data.divide if HELD_OUT in saved else data.divide_by_name, saved.get(LABELS)
    )


def with_place(run: Run, saved: dict[str, Any], place: str | None = None) -> Namespace:
    """A run's configuration with the place of its corpus: the given one, else the last known, else the first."""
    config = run.config.clone()
    if moved := place or saved.get(CORPUS):
        config["corpus"] = moved
    return config


def read_division(run: Run, saved: dict[str, Any]) -> Division:
    """The division of the corpus recorded in a run's data.json.

    Raises:
        InputError: if the entry is damaged.
    """
    from ltm_pyro import data

    try:
        return data.Division.from_dict(saved[HELD_OUT])
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{run.folder / DATA}: the entry `{HELD_OUT}` is damaged ({error}). Restore it from a copy"
        ) from error


def refuse_other_held_out(text: RunText, other: RunText) -> None:
    """Refuse to compare two runs that held out different texts, since one may have been trained on the other's.

    Raises:
        InputError: if they held out different texts.
    """
    if text.texts != other.texts or _names(text) != _names(other):
        raise InputError(
            f"{text.run.folder} and {other.run.folder} hold out different texts, so that one may have been trained "
            "on the other's: name a corpus that neither has seen, as in `ltm evaluate RUN CORPUS --baseline RUN2`"
        )


def _names(text: RunText) -> Counter[int]:
    stretch = text.division.stretch
    return text.division.names + Counter([] if stretch is None else [stretch.content])


def _as_it_was(run: Run, saved: dict[str, Any], config: Namespace) -> Rule:
    """The division of a run without a record of the held-out part: by names, if the corpus is unchanged.

    Raises:
        InputError: if the corpus has changed.
    """
    from ltm_pyro import data

    if prepare_data(config, run.tokenizer, data.divide_by_name).fingerprint != saved["fingerprint"]:
        raise InputError(
            f"{run.folder} was made by an earlier version, which did not record the held-out part, and its corpus has "
            "changed, so that the part is unknown. Restore the text as it was, or score a text that the run was not "
            "trained on: `ltm evaluate RUN TEXT`"
        )

    def as_it_was(documents: Iterable[Document], outline: CorpusSummary, validation: float, seed: int) -> AnyDivision:
        division = data.divide_by_name(documents, outline, validation, seed)
        return division if isinstance(division, data.Division) else division.by_content(documents)

    return as_it_was
