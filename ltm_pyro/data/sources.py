"""Parsing of a corpus specification: one source, or several joined by commas."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ltm_pyro.errors import InputError

BUILT_IN = "sotu"
MOST_COMMAS = 16  # in the path of one file

Source = str | os.PathLike[str]


def sources_of(spec: Source | Sequence[Source] | None) -> list[str]:
    """The sources of a specification, without duplicates.

    Args:
        spec: None for the built-in corpus; a text, which `divide` splits; or a path, or a sequence of texts and paths,
            which are not split.

    Raises:
        InputError: if there is no source, or one without a name.
    """
    if spec is None:
        return [BUILT_IN]
    several = divide(spec) if isinstance(spec, str) else [spec] if isinstance(spec, os.PathLike) else spec
    sources = list(dict.fromkeys(os.fspath(source) for source in several))
    if not sources or not all(source.strip() for source in sources):
        raise InputError("the corpus has no name: give sotu, a file, a folder or hf:NAME")
    return sources


def divide(text: str) -> list[str]:
    """The parts of a text between commas; a path that exists is not split, the longest such path first.

    Example:
        >>> divide("a.txt,b.txt, hf:name")
        ['a.txt', 'b.txt', 'hf:name']
    """
    parts, sources = text.split(","), []
    while parts:
        joined = (",".join(parts[:count]) for count in range(min(len(parts), MOST_COMMAS + 1), 0, -1))
        source = next((path for path in joined if _exists(path)), parts[0])
        parts = parts[source.count(",") + 1 :]
        sources.append(source if _exists(source) else source.strip())
    return sources


def _exists(path: str) -> bool:
    return os.path.lexists(os.path.expanduser(path))
