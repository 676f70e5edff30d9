"""Twins: autoregressive baselines with as many parameters as the rows of a table.

The twin of a row with thoughts has the same decoder without thoughts, with the same window and depth; its feed-forward
is widened until the number of parameters agrees within 2 %. It is trained with the base's settings. Rows may share a
twin. One further baseline has the full context as its window.
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

SHAPE = ("width", "layers", "heads", "window")  # decoder settings that a twin shares
FULL_NAME = "autoregressive, full context"


class Twins:
    """Twins of a table's rows on one corpus.

    Args:
        table: table of conditions.
        corpus: settings of the corpus.
        vocabulary: V.

    Attributes:
        rows: autoregressive rows by name, the one with full context last.
        of: name of each row's twin.
        parameters: number of parameters of every row's model, by name.

    Raises:
        InputError: for rows that `ltm train` would refuse, or that have no twin within 2 %.
    """

    def __init__(self, table: Table, corpus: Settings, vocabulary: int) -> None:
        self.table, self.corpus, self.vocabulary = table, corpus, vocabulary
        self.rows: dict[str, Row] = {}
        self.of: dict[str, str] = {}
        self.parameters: dict[str, int] = {}
        self._checked: dict[str, Namespace] = {}  # configurations by the row's settings as JSON
        for row in table.rows:
            self.parameters[row.name] = parameters_of(self.config(row), vocabulary)
            if row.has_thoughts:
                self.of[row.name] = self._twin_of(row)
        if self.rows:
            first = next(iter(self.rows.values()))
            self._add(first, FULL_NAME, {"decoder.window": self.config(first).data.length})

    def config(self, row: Row) -> Namespace:
        """Validated configuration of a row on the corpus."""
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
            same_shape = all(self.config(twin).decoder[key] == decoder[key] for key in SHAPE)
            if same_shape and abs(self.parameters[name] - count) <= WITHIN * count:
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
