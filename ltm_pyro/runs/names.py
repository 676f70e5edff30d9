"""Suggestions for misspelled names, and names of files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggestion of the known word nearest to a misspelled one, as the start of a sentence; empty if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def corpus_name(corpus: str | None) -> str:
    """Name of a corpus for a file's name: `sotu`, the name of a file, or that of a data set on the hub."""
    from ltm_pyro.data.sources import sources_of

    first = sources_of(corpus or None)[0].removeprefix("hf:")
    return re.sub(r"[^\w.-]+", "-", first.rstrip("/").rsplit("/", 1)[-1].removesuffix(".txt")).strip("-.") or "text"


def slug(text: str) -> str:
    """A text reduced to letters, digits, dots and dashes, as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "text"
