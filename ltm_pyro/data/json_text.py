"""JSON of a corpus, parsed with repeated names preserved and with errors that name their place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ltm_pyro.errors import InputError


class JsonObject(dict[str, Any]):
    """A JSON object; for a repeated name it holds the last value, as with `json.loads`.

    Args:
        pairs: its names and values, in order.

    Attributes:
        pairs: all names and values if a name is repeated; else None.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs if len(pairs) > len(self) else None

    def all_items(self) -> Iterable[tuple[str, Any]]:
        """All names and values; the Nth occurrence of a name is followed by ``(N)``."""
        counts: Counter[str] = Counter()
        for name, value in self.pairs or self.items():
            counts[name] += 1
            yield (name if counts[name] == 1 else f"{name} ({counts[name]})"), value


def parse_json(text: str, path: Path, first_line: int = 1) -> Any:
    """The value of a JSON text, its objects as `JsonObject`.

    Args:
        text: without a byte-order mark.
        path: its file, for messages.
        first_line: the number of the text's first line in the file.

    Raises:
        InputError: if the text does not parse, naming line and column.
    """
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise InputError(
            f"{path}, line {line}, column {error.colno} does not parse as JSON: {error.msg}{_remedy(text, path, error)}"
        ) from error
    except RecursionError as error:
        raise InputError(f"{path}, from line {first_line} on, does not parse as JSON: nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{path}, from line {first_line} on, does not parse as JSON: a number is too long") from error


def _remedy(text: str, path: Path, error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        return ". If it holds one object per line, name it .jsonl" if path.suffix.lower() == ".json" else ""
    if path.suffix.lower() != ".json" and error.pos >= len(text.rstrip()) and text.strip():
        return ". If its values span several lines, name it .json"
    return ""
