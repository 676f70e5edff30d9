"""The autoregressive models that the rows of a table are to beat.

Every row with thoughts has a twin: the same decoder without them, of the same window and depth, whose feed-forward is
widened until it has as many parameters, within 2 %, and which learns as the base says. Rows for which one twin serves
share it. Another such model sees the full context.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.latent_value.matching import WITHIN, matched_inner, parameters_of
from benchmarks.latent_value.table import Row, Table
from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import Settings, complete, merged, without
from ltm_pyro.training.build import validate
from ltm_pyro.training.run import run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

SHAPE = ("width", "layers", "heads", "window")  # of the decoder, which a twin shares
FULL_NAME = "autoregressive, full context"


class Twins:
    """Twins of a table's rows on one corpus.

    Args:
        table: of conditions.
        corpus: settings of the corpus.
        vocabulary: V.

    Attributes:
        rows: the autoregressive rows by name, the one of the full context last.
        of: the name of each row's twin.
        parameters: of every row's model, by name.

    Raises:
        InputError: for rows that `ltm train` would refuse, or that no twin fits.
    """

    def __init__(self, table: Table, corpus: Settings, vocabulary: int) -> None:
        self.table, self.corpus, self.vocabulary = table, corpus, vocabulary
        self.rows: dict[str, Row] = {}
        self.of: dict[str, str] = {}
        self.parameters: dict[str, int] = {}
        self._checked: dict[str, Namespace] = {}  # by the settings of a row, as text
        for row in table.rows:
            self.parameters[row.name] = parameters_of(self.config(row), vocabulary)
            if row.has_thoughts:
                self.of[row.name] = self._twin_of(row)
        if self.rows:
            first = next(iter(self.rows.values()))
            self._add(first, FULL_NAME, {"decoder.window": self.config(first).data.length})

    def config(self, row: Row) -> Namespace:
        """The configuration of a row on the corpus, checked."""
        settings = row.settings_on(self.corpus)
        key = json.dumps(settings, sort_keys=True)
        if key not in self._checked:
            try:
                self._checked[key] = complete(settings)
                validate(run_parser(), self._checked[key])
            except InputError as error:
                raise InputError(f"row {row.name}: {error}") from error
        return self._checked[key].clone()

    def _twin_of(self, row: Row) -> str:
        decoder, count = self.config(row).decoder, self.parameters[row.name]
        for name, twin in self.rows.items():
            same = all(self.config(twin).decoder[key] == decoder[key] for key in SHAPE)
            if same and abs(self.parameters[name] - count) <= WITHIN * count:
                return name
        shape = {key: value for key, value in (row.change.get("decoder") or {}).items() if key in SHAPE}
        plain = Row("", without(row.base, "decoder.inner"), {"model": "autoregressive", "decoder": shape})
        inner = matched_inner(self.config(plain), count, self.vocabulary)
        name = f"autoregressive, window {decoder.window}, inner {inner}"
        self._add(plain, name, {"decoder.inner": inner})
        return name

    def _add(self, row: Row, name: str, change: Settings) -> None:
        self.rows[name] = row._replace(name=name, change=merged(row.change, change))
        self.parameters[name] = parameters_of(self.config(self.rows[name]), self.vocabulary)
