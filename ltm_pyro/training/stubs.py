"""Search path of type stubs for the parser of arguments: this process's own path."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


def look_for_stubs_here() -> None:
    """Let the parser search this process's path for stubs, without starting a second Python.

    If a signature lacks types, jsonargparse reads stubs. To find them it would start `python -c`, which imports modules
    from the current folder first, even untrusted ones.
    """
    from jsonargparse import _stubs_resolver

    stubs: Any = _stubs_resolver
    if stubs.stubs_resolver is None:
        with suppress(AttributeError):  # typeshed_client is not installed, and no stub is read
            path = [Path(folder) for folder in sys.path if folder]
            stubs.stubs_resolver = stubs.StubsResolver(search_context=stubs.tc.get_search_context(search_path=path))
