"""The field of a row that holds the text, and the values that are accepted as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, time
from itertools import islice
from typing import Any

from ltm_pyro.data.json_text import JsonObject
from ltm_pyro.errors import InputError

DEFAULT_FIELD = "text"
MOST_NAMES = 20  # of the fields that a message lists
LONGEST_NAME = 60
HALF_PAIR = re.compile("[\ud800-\udfff]")
MISSING = "\0"  # the value of a field that is null or empty

FieldPath = tuple[str, ...]  # the names that lead to a field, from the outside in
Convert = Callable[[object, str], str]  # the text of a field's value, from the value and its place


class NoFieldError(InputError):
    """A file or a data set has no field of the given name, or no text in it.

    Args:
        found: the place and its fields.
        remedy: the last sentence of the message.
        names: of the existing fields.

    Attributes:
        found: the message without its remedy, for a caller with another one.
        names: as the argument.
    """

    def __init__(
        self, found: str, remedy: str = "Name the one to read: --data.field NAME", names: Sequence[str] = ()
    ) -> None:
        super().__init__(f"{found} {remedy}")
        self.found, self.names = found, names


def find_field(fields: Mapping[str, Any], field: str | None, where: str) -> FieldPath:
    """Path of the field to read: the given one, else ``text``.

    A field of exactly that name comes first. Else the name may be a path into nested objects, by dots (``meta.text``)
    or as a JSON Pointer (``/meta/text``, RFC 6901), which is never mistaken for a name with a dot.

    Args:
        fields: the existing fields by name; those of a nested object are a mapping again.
        field: the name or path, or None.
        where: the file, row or data set, for the message.

    Raises:
        NoFieldError: if there is no such field; the message lists the existing ones.
    """
    name = DEFAULT_FIELD if field is None else field
    path = next(_paths(fields, name), None)
    if path is None:
        found = f"{where} has no field {name!r}. Its fields: {listed(fields)}."
        raise NoFieldError(found, names=list(islice(_names(fields), MOST_NAMES)))
    return path


def ambiguity(fields: Mapping[str, Any], field: str | None) -> str | None:
    """Message for a name that fits two fields: the one that is read, and the option for the other; else None."""
    if field is None or "." not in field:
        return None
    first, second = (*islice(_paths(fields, field), 2), None, None)[:2]
    if first is None or second is None:
        return None
    name = ".".join(first)
    return f"the field named {name!r} is read; --data.field {pointer(second)} is the one within {second[0]!r}"


def pointer(path: FieldPath) -> str:
    """The JSON Pointer of a path.

    Example:
        >>> pointer(("meta", "a/b"))
        '/meta/a~1b'
    """
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)


def value_at(row: Any, path: FieldPath) -> Any:
    """The value at a path; None if an object on the way is null."""
    for name in path:
        row = None if row is None else row[name]
    return row


def listed(fields: Mapping[str, Any]) -> str:
    """List of field names for a message, those of nested objects with dots."""
    names = [_shortened(name) for name in islice(_names(fields), MOST_NAMES + 1)]
    return ", ".join([*names[:MOST_NAMES], *["..."] * (len(names) > MOST_NAMES)]) or "none"


def row_text(row: object, field: str | None, where: str, convert: Convert | None = None) -> str:
    """The text of one row of JSON: the row itself if it is a string and no field is given, else its field."""
    if isinstance(row, str) and field is None:
        return as_text(row, where)
    if isinstance(row, str):
        raise NoFieldError(f"{where} is a string and has no field {field!r}.", "Leave --data.field out")
    if not isinstance(row, dict):
        raise InputError(f"{where} is {_kind(row)}; expected a string, or an object with a field that holds the text")
    path = find_field(row, field, where)
    for depth, name in enumerate(path):
        within = value_at(row, path[:depth])
        if isinstance(within, JsonObject) and within.pairs:
            refuse_twice([name for name, _ in within.pairs], name, where)
    return (convert or as_text)(value_at(row, path), f"{where}, field {'.'.join(path)!r}")


def as_text(value: object, where: str) -> str:
    """The text of a field's value: a string as it is, strings of a list joined by spaces, empty for null.

    Raises:
        InputError: if the value is of another type, or holds half a surrogate pair, which is not text.
    """
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        value = " ".join(value)
    if not isinstance(value, str):
        raise NoFieldError(f"{where} holds {_kind(value)}; expected text.", "Name another field: --data.field NAME")
    if half := None if value.isascii() else HALF_PAIR.search(value):
        raise InputError(
            f"{where} holds half a surrogate pair (\\u{ord(half[0]):04x}) at character {half.start()}, "
            "which is not Unicode text. Remove it or write the whole character"
        )
    return value.replace("\r\n", "\n")


def as_value(value: object, where: str) -> str:
    """A field's value as a label: text without white space around it, a number, a truth value or a date as text.

    Null, NaN and empty text are `MISSING`.

    Raises:
        InputError: if the value is of another type.
    """
    if value is None or value != value:
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, date, time)):
        return str(value)
    return as_text(value, where).strip() or MISSING


def holds_text(fields: Mapping[str, Any], field: str | None) -> bool:
    """True if the given field (else ``text``) exists and holds text."""
    path = next(_paths(fields, DEFAULT_FIELD if field is None else field), None)
    return path is not None and is_text(value_at(fields, path))


def is_text(value: object) -> bool:
    """True if `as_text` takes a value: text, a list of texts, or null."""
    texts = isinstance(value, list) and all(isinstance(part, str) for part in value)
    return texts or value is None or isinstance(value, str)


def refuse_twice(names: Sequence[str], name: str, where: str) -> None:
    """Raise InputError if a name occurs more than once among those of a row or a table."""
    if names.count(name) > 1:
        raise InputError(f"{where} has the field {name!r} more than once, and only one can be read. Rename the others")


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def _paths(fields: Mapping[str, Any], name: str) -> Iterator[FieldPath]:
    """Every path that a name can denote: the name itself, then paths into objects, longest first names first."""
    if name in fields:
        yield (name,)
    if name.startswith("/"):
        path = tuple(part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/"))
        yield from [path] if len(path) > 1 and _leads(fields, path) else []
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        first, remainder = ".".join(parts[:count]), ".".join(parts[count:])
        if first in fields and fields[first] is None:
            yield first, remainder
        elif first in fields and isinstance(fields[first], Mapping):
            yield from ((first, *path) for path in _paths(fields[first], remainder))


def _leads(fields: Any, path: FieldPath) -> bool:
    for name in path:
        if fields is None:
            return True
        if not isinstance(fields, Mapping) or name not in fields:
            return False
        fields = fields[name]
    return True


def _names(fields: Mapping[str, Any], before: str = "", depth: int = 3) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, Mapping) and value and depth:
            yield from _names(value, f"{before}{name}.", depth - 1)
        else:
            yield f"{before}{name}"


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return f"an object with the fields {listed(value)}" if value else "an empty object"
    if isinstance(value, float) and value != value:
        return "NaN, which is no text"
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return "null" if value is None else names.get(type(value), f"a value of type {type(value).__name__}")
