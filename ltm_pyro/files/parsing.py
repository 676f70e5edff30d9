"""Parsers of JSON and YAML with limits on nesting and on size, YAML aliases counted as expanded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ltm_pyro.errors import InputError
from ltm_pyro.files.opening import MOST, RESTORE, read_text
from ltm_pyro.files.schema import validate

if TYPE_CHECKING:
    import yaml

DEPTH = 100  # levels of nesting
NODES = 10_000  # values of a YAML file, aliases expanded
YAML_BYTES = 2**18


def read_json(path: Path, shape: Any = Any, most: int = MOST, remedy: str = RESTORE, follow: bool = False) -> Any:
    """The content of a JSON file.

    Args:
        path: of the file.
        shape: the expected type, as for `validate`.
        most: the largest size in bytes.
        remedy: the last sentence of a refusal, without a full stop.
        follow: True if the file may be a link.

    Raises:
        InputError: if the file cannot be read, is no JSON, or is of another type.
    """
    return validate(parse_json(read_text(path, most, remedy, follow), str(path), remedy), shape, str(path), remedy)


def read_yaml(path: Path, shape: Any = Any, most: int = YAML_BYTES, remedy: str = RESTORE, follow: bool = False) -> Any:
    """The content of a YAML file of plain values; otherwise as `read_json`."""
    return validate(parse_yaml(read_text(path, most, remedy, follow), str(path), remedy), shape, str(path), remedy)


def parse_json(text: str | bytes, where: str, remedy: str = RESTORE) -> Any:
    """The value of a JSON text. NaN and infinities, which JSON does not have, are refused.

    Raises:
        InputError: naming `where`, if the text is no JSON or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        value = None
        deep = True
    except (ValueError, UnicodeError) as error:
        raise InputError(f"{where} cannot be read: {error}. {remedy}") from error
    else:
        deep = _is_deep(value)
    if deep:
        raise InputError(f"{where} cannot be read: it is nested more than {DEPTH} levels deep. {remedy}")
    return value


def parse_yaml(text: str, where: str, remedy: str = RESTORE) -> Any:
    """The value of a YAML text of plain values: mappings, lists, text, numbers; tags that make objects are refused.

    Raises:
        InputError: naming `where`, if the text is no YAML, is nested too deeply, or is too large with aliases expanded.
    """
    import yaml

    try:
        _refuse_bomb(yaml.parse(text, yaml.SafeLoader))
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise InputError(f"{where} cannot be read: {' '.join(str(error).split())}. {remedy}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _is_deep(value: Any) -> bool:
    """True if lists and dictionaries are nested deeper than `DEPTH`."""
    level = [value]
    for _ in range(DEPTH):
        level = [item for holder in level for item in _items(holder)]
        if not level:
            return False
    return True


def _items(value: Any) -> Iterable[Any]:
    """The items of a list or a dictionary that are lists or dictionaries themselves."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, (dict, list))]


def _refuse_bomb(events: Iterable[yaml.Event]) -> None:
    """Count the values of a YAML text, aliases expanded, without building them.

    Raises:
        ValueError: if they are nested too deeply, too many, or endless because an alias contains itself.
    """
    import yaml

    sizes: dict[str, int] = {}  # of complete anchored values
    open_nodes: list[tuple[str | None, int]] = []  # an anchor, and the count before it
    count = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"the alias *{event.anchor} is used before, or within, the value it refers to")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - before
        elif isinstance(event, yaml.NodeEvent):
            count += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, count - 1))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
        if len(open_nodes) > DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} levels deep")
        if count > NODES:
            raise ValueError(f"it holds more than {NODES:,} values, aliases expanded")
