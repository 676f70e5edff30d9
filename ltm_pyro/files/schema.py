"""Check of values from a file against a type."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.files.opening import RESTORE

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SHOWN = 40  # characters of a value that a message quotes


def validate(value: Any, shape: Any, where: str, remedy: str = RESTORE) -> Any:
    """Check that a value has a type, and return it unconverted.

    Args:
        value: plain values, as `parse_json` returns them.
        shape: a type of plain values: `dict[str, int]`, a `typing_extensions.TypedDict`, bounds by `Annotated`. Keys
            that a TypedDict does not name are allowed.
        where: the file or place that the message names.
        remedy: the message's last sentence, without a full stop.

    Raises:
        InputError: naming the first place that does not fit, what was expected there and what was found.
    """
    if shape is Any:
        return value
    from pydantic import ValidationError

    try:
        _adapter(shape).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = _place(first["loc"])
        received = "" if first["type"] == "missing" else f", found {_shown(first['input'])}"
        raise InputError(f"{where} cannot be read: {place}{_lower(first['msg'])}{received}. {remedy}") from error
    return value


@lru_cache(maxsize=64)
def _adapter(shape: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def _place(keys: Sequence[str | int]) -> str:
    named = "".join(f"[{key}]" if isinstance(key, int) else f".{_cut(key)}" for key in keys).lstrip(".")
    return f"{named}: " if named else ""


def _shown(value: Any) -> str:
    return _cut(repr(value) if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__)


def _cut(text: str) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
