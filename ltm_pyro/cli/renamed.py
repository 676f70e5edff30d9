"""Options that have another name now."""

from __future__ import annotations

from collections.abc import Sequence

from ltm_pyro.errors import InputError

RENAMED = {  # by command, the old name and the new one
    "ltm compare bounds": {"sequences": "limit"},
    "ltm compare guides": {"sequences": "limit"},
    "ltm evaluate RUN --suite generation": {"samples": "limit"},
    "ltm scale": {"run": "out"},
    "ltm plot": {"limit": "points"},
}


def refuse_renamed(command: str, words: Sequence[str]) -> None:
    """Raises InputError for an option by its old name, with the new one."""
    for old, new in RENAMED.get(command, {}).items():
        if any(word == f"--{old}" or word.startswith(f"--{old}=") for word in words):
            raise InputError(f"--{old} is --{new} now. `{command} --help` lists all arguments")
