"""Names that a user gives, and near ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that comes nearest, as the beginning of a sentence; nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def corpus_name(corpus: str | None) -> str:
    """A corpus as part of a file's name: `sotu`, a file's own name, or that of a hub's data set."""
    from ltm_pyro.data.sources import sources_of

    first = sources_of(corpus or None)[0].removeprefix("hf:")
    return re.sub(r"[^\w.-]+", "-", first.rstrip("/").rsplit("/", 1)[-1].removesuffix(".txt")).strip("-.") or "text"


def slug(text: str) -> str:
    """A text as part of a file's name: letters, digits, dots and dashes."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "text"
