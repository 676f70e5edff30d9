"""Renamed options of commands."""

from __future__ import annotations

from collections.abc import Sequence

from ltm_pyro.errors import InputError

RENAMED = {  # by command, the old name and the new one
    "ltm compare bounds": {"sequences": "limit"},
    "ltm compare guides": {"sequences": "limit"},
    "ltm evaluate RUN --suite generation": {"samples": "limit"},
    "ltm scale": {"run": "out"},
    "ltm plot": {"limit": "points"},
    "ltm import-weights": {"begin": "bos_id"},
}


def refuse_renamed(command: str, argv: Sequence[str]) -> None:
    """Raise InputError, with the new name, for an option by its old name."""
    for old, new in RENAMED.get(command, {}).items():
        if any(word == f"--{old}" or word.startswith(f"--{old}=") for word in argv):
            raise InputError(f"--{old} is --{new} now. `{command} --help` lists all arguments")
