"""A table of conditions: a name for each row, and what it changes in the settings that all have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_yaml
from ltm_pyro.runs.config import Settings, merged, recipe, value_of, without
from ltm_pyro.runs.names import did_you_mean

TABLES = Path(__file__).parent / "tables"
OWN = ("tokens", "start_from")  # of a row, and no settings of a run
INSTEAD = {
    "corpus": "name it by --corpus",
    "run": "every run has a folder of its own in that of --out",
    "train.seed": "give the seeds by --seeds",
    "train.steps": "they follow from --tokens; a row's share of these is its `tokens`",
    "train.start_from": "name a row above it as `start_from`",
}


class Row(NamedTuple):
    """One condition.

    Attributes:
        name: as it stands in the results.
        base: the settings that it has in common with the other rows, with the recipe's name.
        change: what it changes in them.
        tokens: its share of the study's tokens.
        start_from: the row whose weights it begins with, of the same corpus and seed; None to begin anew.
    """

    name: str
    base: Settings
    change: Settings
    tokens: float = 1.0
    start_from: str | None = None

    def settings_on(self, corpus: Mapping[str, Any]) -> Settings:
        """Those of a run: what the corpus says wins over the base, and the row over both."""
        named = merged(self.base, corpus, self.change).get("recipe", "tiny")
        return without(merged(recipe(named), self.base, corpus, self.change), "recipe")

    @property
    def has_thoughts(self) -> bool:
        return merged(self.base, self.change).get("model") != "autoregressive"


class Table(NamedTuple):
    """Rows, and the settings that all of them have unless they say otherwise."""

    name: str
    about: str
    base: Settings
    rows: list[Row]

    def only(self, names: Sequence[str]) -> Table:
        """The table of these rows and of those that they start from.

        Raises:
            InputError: for a name that it has not.
        """
        known = {row.name: row for row in self.rows}
        for name in names:
            if name not in known:
                raise InputError(
                    f"--rows {name!r}: {did_you_mean(name, known)}The rows of {self.name} are {', '.join(known)}"
                )
        wanted = set(names)
        for row in reversed(self.rows):  # what a row starts from stands above it
            if row.name in wanted and row.start_from:
                wanted.add(row.start_from)
        return self._replace(rows=[row for row in self.rows if row.name in wanted])


def read_table(name: str, over: Mapping[str, Any] | None = None) -> Table:
    """A table of ours by name, or any YAML file: `about`, `base` and `rows`.

    Args:
        name: of the table, or the file's path.
        over: what goes into the base, whatever stands there.

    Raises:
        InputError: if there is none, or it does not say what it should.
    """
    path = TABLES / f"{name}.yaml" if not name.endswith((".yaml", ".yml")) else Path(name)
    if not path.is_file():
        known = sorted(table.stem for table in TABLES.glob("*.yaml"))
        raise InputError(
            f"there is no table {name}: {did_you_mean(name, known)}The tables are {', '.join(known)}; "
            "or give a file, TABLE.yaml"
        )
    content = read_yaml(path, remedy="Expected `rows`, each a name with settings of a run", follow=True)
    if not isinstance(content, dict) or not isinstance(content.get("rows"), dict) or not content["rows"]:
        raise InputError(f"{path}: expected `rows`, each a name with settings of a run, as fast.steps: 8")
    base = merged(_checked(path, "base", content.get("base"), own=False), over or {})
    table = Table(path.stem, str(content.get("about", "")), base, [])
    for row, own in content["rows"].items():
        table.rows.append(_row(path, str(row), _checked(path, str(row), own, own=True), table))
    return table


def _row(path: Path, name: str, own: Settings, table: Table) -> Row:
    share, start = own.get("tokens", 1.0), own.get("start_from")
    if not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise InputError(f"{path}, row {name}: tokens={share}: expected a share of the study's, above 0 up to 1")
    if start is not None and start not in [row.name for row in table.rows]:
        raise InputError(f"{path}, row {name}: start_from={start!r}: expected the name of a row above it")
    return Row(name, table.base, without(own, *OWN), float(share), start)


def _checked(path: Path, where: str, given: Any, own: bool) -> Settings:
    if not isinstance(given or {}, dict):
        raise InputError(f"{path}, {where}: expected settings of a run, as fast.steps: 8")
    settings = merged({}, given or {})
    for name, remedy in INSTEAD.items():
        if value_of(settings, name) is not None:
            raise InputError(f"{path}, {where}: {name} is not for a table: {remedy}")
    if own and "data" in settings:
        raise InputError(
            f"{path}, {where}: data: all rows are scored on the same texts; put it in base, or behind a corpus"
        )
    return settings
