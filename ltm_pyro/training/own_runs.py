"""Record of the runs that were made on this machine by its user, kept outside their folders."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "LTM_HOME"


def home() -> Path:
    """Folder of the records: `$LTM_HOME`, else `ltm_pyro` in `$XDG_DATA_HOME` or in `~/.local/share`.

    Raises:
        RuntimeError: if the user has no home folder.
    """
    if folder := os.environ.get(VARIABLE):
        return Path(folder).expanduser()
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "ltm_pyro"


def remember(config: Path, code: str | None = None) -> None:
    """Record a run's configuration as the user's own, by its path and content.

    Args:
        config: the file, which must exist.
        code: folder of the code that the configuration names; the current folder if None.

    Raises:
        OSError, RuntimeError: if the record cannot be written.
    """
    path = _record(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"config": str(config.resolve()), "sha256": _sum(config), "code": code or os.getcwd()}
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def code_folder(config: Path) -> str | None:
    """The folder of the code of a run; None unless its configuration is recorded and unchanged."""
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
