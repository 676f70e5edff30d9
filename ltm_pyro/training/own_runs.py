"""Which runs were made on this machine by its user, remembered outside of their folders."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "LTM_HOME"


def home() -> Path:
    """Where this is remembered: `$LTM_HOME`, else `ltm_pyro` in `$XDG_DATA_HOME` or in `~/.local/share`.

    Raises:
        RuntimeError: if there is no home.
    """
    if asked := os.environ.get(VARIABLE):
        return Path(asked).expanduser()
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "ltm_pyro"


def remember(config: Path) -> None:
    """Remember that a run's configuration is its user's own, as it is now and where it is now.

    Also remembers the current folder, in which the code that it names is found.

    Args:
        config: the file, which is there.

    Raises:
        OSError, RuntimeError: if that cannot be written.
    """
    path = _record(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"config": str(config.resolve()), "sha256": _sum(config), "code": os.getcwd()}
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def code_folder(config: Path) -> str | None:
    """The folder in which the code of a run is found; None unless its configuration is remembered just as it is."""
    try:
        record: Any = json.loads(_record(config).read_text(encoding="utf-8"))
        return str(record["code"]) if record["sha256"] == _sum(config) else None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None


def _record(config: Path) -> Path:
    name = hashlib.sha256(str(config.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return home() / "runs" / f"{name}.json"


def _sum(config: Path) -> str:
    return hashlib.sha256(config.read_bytes()).hexdigest()
