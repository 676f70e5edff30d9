"""Table of conditions: named rows, each with its changes to the common settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_yaml
from ltm_pyro.runs.config import Settings, merged, recipe, value_of, without
from ltm_pyro.runs.names import did_you_mean

TABLES = Path(__file__).parent / "tables"
OWN = ("tokens", "start_from")  # keys of a row that are no settings of a run
INSTEAD = {
    "corpus": "name it by --corpus",
    "run": "every run has its own folder in that of --out",
    "train.seed": "give the seeds by --seeds",
    "train.steps": "they follow from --tokens; a row's share of these is its `tokens`",
    "train.start_from": "name a row above it as `start_from`",
}


class Row(NamedTuple):
    """Row of the table: a condition.

    Attributes:
        name: name in the results.
        base: common settings of all rows, with the recipe's name.
        change: changes to the common settings.
        tokens: share of the study's tokens.
        start_from: row whose weights initialise the run, on the same corpus and with the same seed; None for random
            weights.
    """

    name: str
    base: Settings
    change: Settings
    tokens: float = 1.0
    start_from: str | None = None

    def settings_on(self, corpus: Mapping[str, Any]) -> Settings:
        """Settings of a run: the corpus overrides the base, and the row overrides both."""
        name = merged(self.base, corpus, self.change).get("recipe", "tiny")
        return without(merged(recipe(name), self.base, corpus, self.change), "recipe")

    @property
    def has_thoughts(self) -> bool:
        return merged(self.base, self.change).get("model") != "autoregressive"


class Table(NamedTuple):
    """Rows with their common settings."""

    name: str
    about: str
    base: Settings
    rows: list[Row]

    def only(self, names: Sequence[str]) -> Table:
        """Table with the given rows and the rows that they start from.

        Raises:
            InputError: for an unknown name.
        """
        by_name = {row.name: row for row in self.rows}
        for name in names:
            if name not in by_name:
                raise InputError(
                    f"--rows {name!r}: {did_you_mean(name, by_name)}The rows of {self.name} are {', '.join(by_name)}"
                )
        selection = set(names)
        for row in reversed(self.rows):  # a row starts from a row above it
            if row.name in selection and row.start_from:
                selection.add(row.start_from)
        return self._replace(rows=[row for row in self.rows if row.name in selection])


def read_table(name: str, over: Mapping[str, Any] | None = None) -> Table:
    """Read a table by its name, or from a YAML file with `about`, `base` and `rows`.

    Args:
        name: name of a table in `TABLES`, or path of a file.
        over: settings that override the base.

    Raises:
        InputError: if the table does not exist, or is invalid.
    """
    path = TABLES / f"{name}.yaml" if not name.endswith((".yaml", ".yml")) else Path(name)
    if not path.is_file():
        names = sorted(table.stem for table in TABLES.glob("*.yaml"))
        raise InputError(
            f"there is no table {name}: {did_you_mean(name, names)}The tables are {', '.join(names)}; "
            "or give a file, TABLE.yaml"
        )
    content = read_yaml(path, remedy="Expected `rows`, each a name with settings of a run", follow=True)
    if not isinstance(content, dict) or not isinstance(content.get("rows"), dict) or not content["rows"]:
        raise InputError(f"{path}: expected `rows`, each a name with settings of a run, as fast.steps: 8")
    base = merged(_checked(path, "base", content.get("base"), own=False), over or {})
    table = Table(path.stem, str(content.get("about", "")), base, [])
    for row, settings in content["rows"].items():
        table.rows.append(_row(path, str(row), _checked(path, str(row), settings, own=True), table))
    return table


def _row(path: Path, name: str, settings: Settings, table: Table) -> Row:
    share, start = settings.get("tokens", 1.0), settings.get("start_from")
    if not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise InputError(
            f"{path}, row {name}: tokens={share}: expected a share of the study's tokens, above 0 and at most 1"
        )
    if start is not None and start not in [row.name for row in table.rows]:
        raise InputError(f"{path}, row {name}: start_from={start!r}: expected the name of a row above it")
    return Row(name, table.base, without(settings, *OWN), float(share), start)


def _checked(path: Path, where: str, content: Any, own: bool) -> Settings:
    if not isinstance(content or {}, dict):
        raise InputError(f"{path}, {where}: expected settings of a run, as fast.steps: 8")
    settings = merged({}, content or {})
    for name, remedy in INSTEAD.items():
        if value_of(settings, name) is not None:
            raise InputError(f"{path}, {where}: {name} is not for a table: {remedy}")
    if own and "data" in settings:
        raise InputError(
            f"{path}, {where}: data: all rows are scored on the same texts; put it in base, or after a corpus"
        )
    return settings
