"""What a study consists of: its cells, each one run on one corpus with one seed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.earn.matching import WITHIN, matched_inner, parameters_of
from benchmarks.earn.table import SHAPE, Row, Table
from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import Settings, complete, merged
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.training.blueprint import check
from ltm_pyro.training.run import run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.training.material import Material

BUILT_IN = "built-in"
THOUGHTS, TWIN, FULL = "thoughts", "autoregressive", "full context"  # kinds of rows
FULL_NAME = "autoregressive, full context"


@dataclass(frozen=True)
class Scoring:
    """How every run is measured.

    Args:
        limit: held-out texts that are scored at the end.
        draws: S.
        points: validations along a run, for the curves.
        checkpoint: `best` (by validation) or `latest`.
    """

    limit: int = 512
    draws: int = 16
    points: int = 10
    checkpoint: str = "best"


@dataclass(frozen=True)
class Corpus:
    """A text: `built-in`, or paths as `ltm train` takes them, and settings of its own, by path."""

    name: str
    settings: Settings

    @classmethod
    def named(cls, spec: str) -> Corpus:
        """From `PATH [ARGUMENT OF ltm train ...]`."""
        try:
            first, *further = shlex.split(spec)
        except ValueError as error:
            raise InputError(f"--corpus {spec!r}: expected built-in, or a path and arguments of ltm train") from error
        settings = {} if first == BUILT_IN else {"corpus": first}
        plain = corpus_name(first).rsplit(".", 1)[0].replace(".", "-")
        read = re.findall(r"--data\.(?:mode|length)[ =](\w+)", " ".join(further))
        return cls("-".join([plain, *read]), {**settings, **_named(spec, further)})


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        corpus, row, seed: which it is.
        kind: of the row, `THOUGHTS`, `TWIN` or `FULL`.
        settings: of its run, but for what it starts from.
        start_from: the cell, by its key, whose weights it begins with.
        twin, full: the rows that it is compared with, of the same corpus and seed.
    """

    corpus: str
    row: str
    seed: int
    kind: str
    settings: Settings
    start_from: str | None = None
    twin: str | None = None
    full: str | None = None

    @property
    def steps(self) -> int:
        """Slow steps."""
        return int(self.settings["train"]["steps"])

    @property
    def key(self) -> str:
        """As a folder's name."""
        return key_of(self.corpus, self.row, self.seed)

    def __str__(self) -> str:
        return f"{self.corpus}: {self.row}, seed {self.seed}"


def key_of(corpus: str, row: str, seed: int) -> str:
    return re.sub(r"[^\w.]+", "-", f"{corpus} {row} seed {seed}").strip("-.")


@dataclass
class Plan:
    """All cells of a study: the table's rows, and the autoregressive models that they are to beat.

    Every row with thoughts has a twin: the same decoder without them, of the same window and depth, whose feed-forward
    is widened until it has as many parameters, within 2 %, and which learns as the base says. Rows for which one twin
    serves share it. Another such model sees the full context.

    Args:
        table: of conditions.
        corpora: texts.
        seeds: how many, from 0; they are of weights, order and noise. The split is one for all.
        tokens: that each run learns from; the base's own steps if None.
        scoring: how runs are measured.

    Raises:
        InputError: for rows that `ltm train` would refuse, or that cannot be told apart.
    """

    table: Table
    corpora: Sequence[Corpus]
    seeds: int
    tokens: int | None
    scoring: Scoring
    kinds: dict[str, str] = field(default_factory=dict, init=False)  # of rows, in the order of the results
    parameters: dict[tuple[str, str], int] = field(default_factory=dict, init=False)  # by corpus and row
    _checked: dict[str, Namespace] = field(default_factory=dict, init=False)  # by the settings of a row, as text

    def cells(self) -> list[Cell]:
        """In the order in which they are run: all of one seed first."""
        rows = [list(self._rows(corpus)) for corpus in self.corpora]
        found = [make(seed) for seed in range(self.seeds) for makers in rows for make in makers]
        keys = [cell.key for cell in found]
        for place, cell in enumerate(found):
            if cell.key in keys[:place]:
                raise InputError(f"{cell}: another has the same name, but for signs: rename one of them")
        return found

    def _rows(self, corpus: Corpus) -> Iterator[Any]:
        """What makes the cell of a seed, for each row on a corpus: autoregressive ones first."""
        material = self._material(corpus)
        twins, compared = self._twins(corpus, material.tokenizer.vocabulary)
        references = [(FULL if name == FULL_NAME else TWIN, row) for name, row in twins.items()]
        rows = [(THOUGHTS if row.has_thoughts else TWIN, row) for row in self.table.rows]
        for kind, row in [*references, *rows]:
            self.kinds[row.name] = kind
            yield _maker(self, corpus, row, kind, self._steps(corpus, row, material), compared.get(row.name))

    def _twins(self, corpus: Corpus, vocabulary: int) -> tuple[dict[str, Row], dict[str, str]]:
        """The autoregressive rows by name, and the name of each row's twin."""
        twins: dict[str, Row] = {}
        compared: dict[str, str] = {}
        for row in self.table.rows:
            config = self._configured(corpus, row)
            self.parameters[corpus.name, row.name] = count = parameters_of(config, vocabulary)
            if row.has_thoughts:
                compared[row.name] = self._twin(corpus, row, count, vocabulary, twins)
        if twins:
            first = next(iter(twins.values()))
            full = {"decoder.window": self._configured(corpus, first).data.length}
            twins[FULL_NAME] = first.changed(FULL_NAME, full)
            self.parameters[corpus.name, FULL_NAME] = self.parameters[corpus.name, first.name]
        return twins, compared

    def _twin(self, corpus: Corpus, row: Row, count: int, vocabulary: int, twins: dict[str, Row]) -> str:
        for name, twin in twins.items():
            same = all(twin.arguments.get(key) == row.arguments.get(key) for key in SHAPE)
            if same and abs(self.parameters[corpus.name, name] - count) <= WITHIN * count:
                return name
        base = {key: value for key, value in self.table.base.items() if key != "decoder.inner"}
        shape = {key: row.arguments[key] for key in SHAPE if key in row.own}
        twin = Row("", base).changed("", {**shape, "model": "autoregressive"})
        config = self._configured(corpus, twin)
        inner = matched_inner(config, count, vocabulary)
        name = f"autoregressive, window {config.decoder.window}, inner {inner}"
        twins[name] = twin.changed(name, {"decoder.inner": inner})
        self.parameters[corpus.name, name] = parameters_of(self._configured(corpus, twins[name]), vocabulary)
        return name

    def _configured(self, corpus: Corpus, row: Row) -> Namespace:
        settings = row.settings_on(corpus.settings)
        key = json.dumps(settings, sort_keys=True)
        if key not in self._checked:
            try:
                self._checked[key] = complete(settings)
                check(run_parser(), self._checked[key])
            except InputError as error:
                raise InputError(f"row {row.name}, on {corpus.name}: {error}") from error
        return self._checked[key].clone()

    def _material(self, corpus: Corpus) -> Material:
        """Reads the corpus, and leaves it in the cache for the processes that train."""
        from ltm_pyro.training.material import prepare

        config = complete(Row("", self.table.base).settings_on(corpus.settings))
        config.data.seed = config.data.seed or 0
        try:
            return prepare(config)
        except InputError as error:
            raise InputError(f"corpus {corpus.name}: {error}") from error

    def _steps(self, corpus: Corpus, row: Row, material: Material) -> int:
        config = self._configured(corpus, row)
        if self.tokens is None:
            return max(1, round(config.train.steps * row.tokens))
        a_step = config.train.batch_size * material.training.token_count / len(material.training)
        return max(1, round(self.tokens * row.tokens / a_step))


def _maker(plan: Plan, corpus: Corpus, row: Row, kind: str, steps: int, twin: str | None) -> Any:
    every, scoring = max(1, steps // plan.scoring.points), plan.scoring
    numbers = {"steps": steps, "evaluate_every": every, "save_every": every, "keep": 1, "samples": 0}
    numbers |= {"final_sequences": scoring.limit, "draws": scoring.draws}
    divided = "data.seed" in {**row.arguments, **corpus.settings}
    split = {} if divided else {"data.seed": 0}

    def make(seed: int) -> Cell:
        before = key_of(corpus.name, row.start_from, seed) if row.start_from else None
        settings = merged(row.settings_on(corpus.settings), split, {"train": {**numbers, "seed": seed}})
        return Cell(corpus.name, row.name, seed, kind, settings, before, twin, FULL_NAME if twin else None)

    return make


def _named(spec: str, further: Sequence[str]) -> Settings:
    """What stands behind a corpus, `--NAME VALUE` or `--NAME=VALUE`, by name."""
    named: Settings = {}
    rest = list(further)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--") or not (equals or rest):
            raise InputError(f"--corpus {spec!r}: expected arguments behind the path, as --data.mode documents")
        named[name.removeprefix("--")] = yaml.safe_load(value if equals else rest.pop(0))
    return named
