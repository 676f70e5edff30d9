"""Text of a run as Markdown that shows it and does nothing else: no link, no picture, no heading, no HTML."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]#|<>~$@&]|:(?=/)|(?<=www)\.)")
ROW = re.compile(r"\|.*\|")
LINE = 400  # characters of a line of a table's file


def escaped(text: str) -> str:
    """A text on one line, every character that Markdown or HTML gives a meaning as an entity."""
    return _safe(" ".join(text.split()))


def quoted(text: str) -> str:
    """A text as code, within a table too."""
    return f"`{escaped_code(text)}`"


def escaped_code(text: str) -> str:
    """A text on one line that a pair of backticks holds."""
    return " ".join(text.split()).replace("`", "'").replace("|", "/")


def escaped_table(text: str) -> str:
    """The tables and notes of an evaluation: rows stay rows, and the words in them are escaped."""
    return "\n".join(_line(line[:LINE].rstrip()) for line in text.strip().splitlines() if not _underlines(line))


def _line(line: str) -> str:
    return "|".join(map(_safe, line.split("|"))) if ROW.fullmatch(line) else _safe(line.lstrip())


def _underlines(line: str) -> bool:
    """Whether a line would make a heading of the one above it, or a rule."""
    return bool(line.strip()) and set(line) <= set("-=+ \t")


def _safe(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return SPECIAL.sub(lambda found: f"&#{ord(found[1])};", plain)
