"""Text of a run as Markdown that shows it and does nothing else: no link, no picture, no heading, no HTML."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]#|<>~$@&]|:(?=/)|(?<=www)\.)")
ROW = re.compile(r"\|.*\|")
LINE = 400  # characters of a line of a table's file


def escaped(text: str) -> str:
    """A text on one line, every character that Markdown or HTML gives a meaning as an entity."""
    line = "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
    return SPECIAL.sub(lambda found: f"&#{ord(found[1])};", line)


def quoted(text: str) -> str:
    """A text as code, within a table too."""
    return f"`{escaped_code(text)}`"


def escaped_code(text: str) -> str:
    """A text on one line that a pair of backticks holds."""
    return " ".join(text.split()).replace("`", "'").replace("|", "/")


def escaped_table(text: str) -> str:
    """The tables and notes of an evaluation: rows stay rows, and the words in them are escaped."""
    lines = (line[:LINE] for line in text.strip().splitlines())
    lines = (line for line in lines if not line.strip() or not set(line.strip()) <= set("-=+"))  # would make headings
    return "\n".join(_row(line) if ROW.fullmatch(line) else escaped(line) for line in lines)


def _row(line: str) -> str:
    cells = line.strip("|").split("|")
    return "|" + "|".join(cell if set(cell.strip()) <= set("-:") else f" {escaped(cell)} " for cell in cells) + "|"
