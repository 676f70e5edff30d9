"""Which field of a row holds the text, and what counts as text."""

from __future__ import annotations

from collections.abc import Iterable

from ltm_pyro.errors import InputError

DEFAULT_FIELD = "text"


class NoFieldError(InputError):
    """A file or a data set has no field of the name that was asked for.

    Args:
        found: where, and which fields there are.

    Attributes:
        found: the message without its remedy, for those who have another.
    """

    def __init__(self, found: str) -> None:
        super().__init__(f"{found} Name the one to read: --data.field NAME")
        self.found = found


def choose_field(available: Iterable[object], field: str | None, where: str) -> str:
    """The field to read: the one asked for, else ``text``.

    Args:
        available: the fields there are.
        field: the field asked for, or None.
        where: the file, row or data set, for the message.

    Raises:
        NoFieldError: there is no such field; the message names those there are.
    """
    names = [str(name) for name in available]
    wanted = field or DEFAULT_FIELD
    if wanted in names:
        return wanted
    listed = ", ".join(names) if names else "none"
    raise NoFieldError(f"{where} has no field {wanted!r}. Its fields: {listed}.")


def row_text(row: object, field: str | None, where: str) -> str:
    """The text of one row of JSON: the row itself if it is a string, else its field."""
    if isinstance(row, str):
        return as_text(row, where)
    if not isinstance(row, dict):
        raise InputError(f"{where} is {_kind(row)}; expected a string, or an object with a field that holds the text")
    name = choose_field(row, field, where)
    return as_text(row[name], f"{where}, field {name!r}")


def as_text(value: object, where: str) -> str:
    """A field's value as text: a string as it is, strings of a list joined by spaces, nothing for null.

    Raises:
        InputError: the value is something else, or holds half a surrogate pair, which is not text.
    """
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        value = " ".join(value)
    if not isinstance(value, str):
        raise InputError(f"{where} holds {_kind(value)}; expected text. Name another field: --data.field NAME")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where} holds half a surrogate pair (\\u{ord(value[error.start]):04x}) at character {error.start}, "
            "which is not Unicode text. Remove it or write the whole character"
        ) from error
    return value.replace("\r\n", "\n")


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return "null" if value is None else names.get(type(value), f"a value of type {type(value).__name__}")
