"""Absolute paths in a run's configuration, so that the run can be opened from any folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from jsonargparse import Namespace


def with_absolute_paths(config: Namespace) -> Namespace:
    """A copy of a configuration in which the paths that exist are absolute."""
    config = config.clone()
    if config.get("corpus"):
        config["corpus"] = ",".join(map(_absolute, _parts(config)))
    for name in ("data.tokenizer", "data.cache", "train.start_from"):
        if config.get(name):
            config[name] = _absolute(config[name])
    return config


def refuse_missing(folder: Path, config: Namespace) -> None:
    """Refuse a run whose corpus is missing, with its former place and the remedy.

    Raises:
        InputError: if a file or folder of the corpus is missing.
    """
    for part in _parts(config):
        if _is_path(part) and not os.path.exists(os.path.expanduser(part)):
            place, name = os.path.split(part)
            raise InputError(
                f"there is no file or folder {name}{f' in {place}' if place else ''}, which is the corpus of {folder}. "
                "If it has been moved, give its place: --corpus_at PLACE"
            )


def _parts(config: Namespace) -> list[str]:
    from ltm_pyro.data.sources import sources_of

    return sources_of(config["corpus"]) if config.get("corpus") else []


def _is_path(part: str) -> bool:
    from ltm_pyro.data.hub import PREFIX
    from ltm_pyro.data.sources import BUILT_IN

    return part != BUILT_IN and not part.startswith(PREFIX)


def _absolute(part: str) -> str:
    path = os.path.expanduser(part)
    return os.path.abspath(path) if _is_path(part) and os.path.exists(path) else part
