"""Configuration of a run as trackers receive it, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

SECRET = re.compile(r"(?:^|_)(?:auth|credentials?|passw(?:or)?d|passphrase|secret|token|(?:api|access|private)_?key)$")
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")  # user:password of an address
HIDDEN = "hidden"


def masked(settings: Any, name: str = "") -> Any:
    """Nested settings with `hidden` in the place of secrets.

    Secrets are values of arguments whose name ends in `token`, `password`, `secret`, `api_key` and the like, and the
    credentials within addresses such as `https://user:password@host`. No argument of the library holds one, but a
    constructor of the user's own may.
    """
    if isinstance(settings, Mapping):
        return {key: masked(value, str(key)) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [masked(value, name) for value in settings]
    if settings is not None and SECRET.search(name.lower()):
        return HIDDEN
    return CREDENTIALS.sub(HIDDEN, settings) if isinstance(settings, str) else settings


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Settings by path, such as `train.steps`, with text for lists and `null` for None."""
    values: dict[str, str | int | float | bool] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            values |= flattened(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float):
            values[f"{prefix}{name}"] = value
        else:
            values[f"{prefix}{name}"] = json.dumps(value)
    return values
