"""Docstrings are written to be read in a terminal; what reStructuredText would take for its own signs is mended."""

from __future__ import annotations

import re
from typing import Any

STAR = re.compile(r"(?<![\w*`:])\*(?=[\w.]+[,)\s])")  # (*batch, T) is a shape, and no emphasis
LETTER = re.compile(r"^(\s*(?::[^:`]+: )?)([A-Za-z]\.(?:\s|$))")  # `layers: L.` is a symbol, and no list from L on
TYPE = re.compile(r":type: (.*)")
TWO = re.compile(r":ivar (\w+), (\w+): (.*)")
PATH = re.compile(r"(?<![\w.~])((?:ltm_pyro|torch|numpy)(?:\.\w+)+)")
OF_TORCH = "Define the computation performed at every call."  # what a `forward` without words of its own inherits


def mend(what: str, lines: list[str]) -> list[str]:
    """The lines of a docstring as napoleon left them; `what` as autodoc has it."""
    if lines and lines[0] == OF_TORCH:
        return []
    if what == "property" and any(map(TYPE.match, lines)):  # its first sentence had a colon, which is no type's
        told = next(match[1] for match in map(TYPE.match, lines) if match)
        rest = [line for line in lines if not TYPE.match(line)]
        lines = [f"{told}: {rest[0]}", *rest[1:]]
    return [LETTER.sub(r"\1\\\2", STAR.sub(r"\\*", line)) for one in lines for line in _fields(one)]


def _fields(line: str) -> list[str]:
    """`lower, upper: shape (B,)` is said of both; and a type is known by its last name."""
    if match := TWO.match(line):
        return [f":ivar {name}: {match[3]}" for name in match.groups()[:2]]
    return [PATH.sub(r"~\1", line) if line.startswith(":vartype") else line]


def _mend(app: Any, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    lines[:] = mend(what, lines)


def _skip(app: Any, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Without what print() shows of a module, and the fields of a named tuple, which its docstring has."""
    return True if name == "extra_repr" or type(thing).__name__ == "_tuplegetter" else None


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _mend)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
