"""The folder of everything that is made once and may be deleted: tokenized corpora, converted models."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LTM_CACHE"
NOWHERE = ("none", "")


def cache_folder(setting: str | None = None) -> Path | None:
    """The cache's folder, which need not exist; None if there is to be none.

    Args:
        setting: a folder, or `none` or nothing at all; if left out, `$LTM_CACHE` says it, else the folder is
            `$XDG_CACHE_HOME/ltm_pyro`, else `~/.cache/ltm_pyro`.
    """
    asked = os.environ.get(VARIABLE) or None if setting is None else setting
    if asked in NOWHERE:
        return None
    try:
        return Path(asked).expanduser() if asked else _usual_folder()
    except RuntimeError:  # there is no home
        return None


def _usual_folder() -> Path:
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "ltm_pyro"
