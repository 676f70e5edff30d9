"""A run's text as it is to be had now: what it held out, known by its content, and the rest."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.training.data_module import DIGEST, HELD_OUT, DataModule, DataRecord, divided_corpus, prepare_data
from ltm_pyro.training.given_text import GIVEN, content, read_held_out, refuse_given
from ltm_pyro.training.places import refuse_missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jsonargparse import Namespace

    from ltm_pyro.data import Division, Document, Sequences
    from ltm_pyro.data.divided import AnyDivision, Rule
    from ltm_pyro.data.outline import CorpusSummary
    from ltm_pyro.training.run import Run

DATA = "data.json"
CORPUS = "corpus"  # of data.json: where the text was found when the run was last resumed


class RunText:
    """The text of a run, divided as the run divided it.

    What was held out is found by its content in whatever the corpus gives now, so that text which the run has learned
    from is never taken for text that it held out. A run whose weights were imported held out nothing: its text is the
    built-in corpus, of which a share is set apart here.

    Args:
        run: whose text it is.
        place: where its corpus lies now; where it lay if None.

    Attributes:
        name: for files: `validation`; with how much of it there is, if that is not all; `sotu` for imported weights.
        about: what the held-out text is, in words.
        texts: the content hashes of what is there of it.

    Raises:
        InputError: if the corpus cannot be read, or nothing is left of what was held out.
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
        self._divided = divided_corpus(self.config, self._rule())
        self.division: Division = self._divided.division  # type: ignore[assignment]  # the rules below give no other
        self.texts = self.division.present(self._divided.outline, self._divided.corpus)
        self._refuse_nothing()
        self.name, self.about = self._described()

    @property
    def given(self) -> bool:
        """Whether the run's sequences were given from Python: what it held out lies in its folder."""
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
        """The text that the run held out, as far as it is there, cut as the run's own."""
        if self.given:
            return read_held_out(self.run.folder)
        data = self.run.config.data
        sequences = self._divided.held_out(data.mode, self.run.tokenizer, data.length)
        if not len(sequences):
            raise InputError(f"the held-out text of {self.run.folder} gives no sequence: it is too small")
        return sequences

    @cached_property
    def training(self) -> Sequences:
        """All else that the corpus holds now."""
        refuse_given(self.run.folder, self.saved)
        data = self.run.config.data
        return self._divided.cut(data.mode, self.run.tokenizer, data.length).training

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
                f"none of what {self.run.folder} held out is in {corpus} as it is now: nothing "
                "there can be scored as held out. Restore the text, name its place by --corpus_at PLACE, or score a "
                "text that the run has not learned from: `ltm evaluate RUN TEXT`"
            )

    def _described(self) -> tuple[str, str]:
        there, held_out, kind = self.texts.total(), self.division.count, self.division.kind
        if self.imported:
            return "sotu", (
                "imported weights, nothing was held out: this is a share of the built-in corpus, the State of the "
                "Union addresses"
            )
        if there == held_out and self.division.complete:
            several = f"all {held_out:,} {kind}s" if held_out > 1 else f"one {kind}"
            return "validation", f"held-out text, {several}"
        of = held_out if self.division.complete else self.saved[HELD_OUT]["documents"]
        about = f"held-out text, {there:,} of {of:,} {kind}s: the corpus has changed since, and has no more of them"
        return f"validation-{there}-of-{of}-documents", about


def prepare_again(run: Run, saved: dict[str, Any], place: str | None = None) -> DataModule:
    """The data that a run was begun with, if its corpus is as it was then; else other data, told by its fingerprint."""
    from ltm_pyro import data

    refuse_given(run.folder, saved)
    config = with_place(run, saved, place)
    refuse_missing(run.folder, config)
    return prepare_data(config, run.tokenizer, data.divide if HELD_OUT in saved else data.divide_by_name)


def with_place(run: Run, saved: dict[str, Any], place: str | None = None) -> Namespace:
    """A run's configuration with the place of its corpus: as given, where it was found last, or where it lay first."""
    config = run.config.clone()
    if moved := place or saved.get(CORPUS):
        config["corpus"] = moved
    return config


def read_division(run: Run, saved: dict[str, Any]) -> Division:
    """The division that a run's data.json records.

    Raises:
        InputError: if that is damaged.
    """
    from ltm_pyro import data

    try:
        return data.Division.from_dict(saved[HELD_OUT])
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{run.folder / DATA}: `{HELD_OUT}` does not name what was held out ({error}). Restore it from a copy"
        ) from error


def refuse_other_held_out(text: RunText, other: RunText) -> None:
    """Two runs side by side must be scored on one text, and on one that neither has learned from.

    Raises:
        InputError: if they held out different texts.
    """
    if text.texts != other.texts or _names(text) != _names(other):
        raise InputError(
            f"{text.run.folder} and {other.run.folder} hold out different texts, so that one may have learned the "
            "other's: name a corpus that neither has seen, as in `ltm evaluate RUN CORPUS --baseline RUN2`"
        )


def _names(text: RunText) -> Counter[int]:
    stretch = text.division.stretch
    return text.division.names + Counter([] if stretch is None else [stretch.content])


def _as_it_was(run: Run, saved: dict[str, Any], config: Namespace) -> Rule:
    """The division of a run that does not name what it held out: by names, if the corpus is as it was then.

    Raises:
        InputError: if it is not.
    """
    from ltm_pyro import data

    if prepare_data(config, run.tokenizer, data.divide_by_name).fingerprint != saved["fingerprint"]:
        raise InputError(
            f"{run.folder} was made by an earlier version, which did not note what it held out, and its corpus has "
            "changed since, so that this cannot be told any more. Restore the text as it was, or score a text that the "
            "run has not learned from: `ltm evaluate RUN TEXT`"
        )

    def as_it_was(documents: Iterable[Document], outline: CorpusSummary, validation: float, seed: int) -> AnyDivision:
        division = data.divide_by_name(documents, outline, validation, seed)
        return division if isinstance(division, data.Division) else division.by_content(documents)

    return as_it_was
