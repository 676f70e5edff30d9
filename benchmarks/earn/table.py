"""A table of conditions: a name for each row, and what `ltm train` is told for it beyond a common base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.runs import config
from ltm_pyro.runs.config import CLASSES, Settings, without
from ltm_pyro.runs.names import did_you_mean

TABLES = Path(__file__).parent / "tables"
SHAPE = ("decoder.width", "decoder.layers", "decoder.heads", "decoder.window")  # what an autoregressive twin shares
OWN = ("tokens", "start_from")  # of a row, and no arguments of `ltm train`
INSTEAD = {
    "corpus": "name it by --corpus",
    "run": "every run has a folder of its own in that of --out",
    "train.seed": "say how many by --seeds",
    "train.steps": "they follow from --tokens; a row's share of these is its `tokens`",
    "train.start_from": "name a row above it as `start_from`",
}


class Row(NamedTuple):
    """One condition.

    Attributes:
        name: as it stands in the results.
        arguments: of `ltm train`, the base's included.
        tokens: its share of the study's tokens.
        start_from: the row whose weights it begins with, of the same corpus and seed; None to begin anew.
        own: the names of the arguments that are not the base's.
    """

    name: str
    arguments: dict[str, Any]
    tokens: float = 1.0
    start_from: str | None = None
    own: tuple[str, ...] = ()

    def changed(self, name: str, arguments: Mapping[str, Any]) -> Row:
        """Another row, with further arguments of its own."""
        return self._replace(name=name, arguments={**self.arguments, **arguments}, own=(*self.own, *arguments))

    def settings_on(self, corpus: Mapping[str, Any]) -> Settings:
        """Those of a run: what the corpus says wins over the base, and the row over both."""
        base, own = (
            {name: value for name, value in self.arguments.items() if (name in self.own) is mine}
            for mine in (False, True)
        )
        name = {**base, **corpus, **own}.get("recipe", "tiny")
        return without(config.merged(config.recipe(name), base, corpus, own), "recipe")

    @property
    def has_thoughts(self) -> bool:
        return self.arguments.get("model") != "autoregressive"


class Table(NamedTuple):
    """Rows, and the arguments that all of them have unless they say otherwise."""

    name: str
    about: str
    base: dict[str, Any]
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
    import yaml

    path = TABLES / f"{name}.yaml" if not name.endswith((".yaml", ".yml")) else Path(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = sorted(table.stem for table in TABLES.glob("*.yaml"))
        raise InputError(
            f"there is no table {name}: {did_you_mean(name, known)}The tables are {', '.join(known)}; "
            f"or give a file, TABLE.yaml ({error.strerror})"
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} does not parse as YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("rows"), dict) or not content["rows"]:
        raise InputError(f"{path}: expected `rows`, each a name with arguments of ltm train, as decoder.window: 4")
    base = {**(content.get("base") or {}), **(over or {})}
    _refuse(path, "base", base, own=False)
    table = Table(path.stem, str(content.get("about", "")), base, [])
    for row, own in content["rows"].items():
        _refuse(path, str(row), own or {}, own=True)
        table.rows.append(_row(path, str(row), own or {}, table))
    return table


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Both, where a class that is named anew leaves nothing of the arguments of the one before."""
    renewed = [name for name in CLASSES if name in own]
    kept = {key: value for key, value in base.items() if not any(key.startswith(f"{name}.") for name in renewed)}
    return {**kept, **own}


def _row(path: Path, name: str, own: dict[str, Any], table: Table) -> Row:
    share, start = own.get("tokens", 1.0), own.get("start_from")
    if not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise InputError(f"{path}, row {name}: tokens={share}: expected a share of the study's, above 0 up to 1")
    if start is not None and start not in [row.name for row in table.rows]:
        raise InputError(f"{path}, row {name}: start_from={start!r}: expected the name of a row above it")
    arguments = {key: value for key, value in own.items() if key not in OWN}
    return Row(name, merged(table.base, arguments), float(share), start, tuple(arguments))


def _refuse(path: Path, where: str, given: Any, own: bool) -> None:
    if not isinstance(given, dict):
        raise InputError(f"{path}, {where}: expected arguments of ltm train, as decoder.window: 4")
    for name in given:
        if name in INSTEAD:
            raise InputError(f"{path}, {where}: {name} is not for a table: {INSTEAD[name]}")
        if own and str(name).startswith("data."):
            raise InputError(
                f"{path}, {where}: {name}: all rows are scored on the same texts; put it in base, or behind a corpus"
            )
