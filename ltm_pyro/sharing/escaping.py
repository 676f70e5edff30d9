"""Escaping of text for Markdown, so that it cannot make links, pictures, headings or HTML."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]#|<>~$@&]|:(?=/)|(?<=www)\.)")
ROW = re.compile(r"\|.*\|")
LINE = 400  # most characters of a line of a table's file


def escaped(text: str) -> str:
    """Text on one line, with all special characters of Markdown and HTML as entities."""
    return _safe(" ".join(text.split()))


def quoted(text: str) -> str:
    """Text as inline code, also valid within a table."""
    return f"`{escaped_code(text)}`"


def escaped_code(text: str) -> str:
    """Text on one line that is safe between backticks."""
    return " ".join(text.split()).replace("`", "'").replace("|", "/")


def escaped_table(text: str) -> str:
    """Tables and notes of an evaluation with their rows kept and all text escaped."""
    return "\n".join(_line(line[:LINE].rstrip()) for line in text.strip().splitlines() if not _underlines(line))


def _line(line: str) -> str:
    return "|".join(map(_safe, line.split("|"))) if ROW.fullmatch(line) else _safe(line.lstrip())


def _underlines(line: str) -> bool:
    """True if a line would turn the line above it into a heading, or make a rule."""
    return bool(line.strip()) and set(line) <= set("-=+ \t")


def _safe(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return SPECIAL.sub(lambda match: f"&#{ord(match[1])};", plain)
