"""A folder's manifest: the size and SHA-256 sum of its files, to tell a whole one from a damaged one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def write_manifest(folder: Path, names: Sequence[str]) -> None:
    """Write down the sums of these files."""
    content = {"files": {name: _sum(folder / name) for name in names}}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def fault(path: Path, names: Sequence[str]) -> str:
    """What is wrong with the first file that is not as the manifest says; empty if nothing is."""
    if not path.is_dir():
        return f"{path} is not the folder of a checkpoint, which is named like step-00001200"
    try:
        expected = {name: json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"][name] for name in names}
    except FileNotFoundError:
        return f"{path / MANIFEST} is missing: the checkpoint is not whole"
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"{path / MANIFEST} cannot be read, it is damaged: {error!r}"
    return next((fault for name in names if (fault := _difference(path / name, expected[name]))), "")


def _difference(file: Path, expected: Any) -> str:
    try:
        found = _sum(file)
    except OSError as error:
        return f"{file} is missing" if not file.exists() else f"{file} cannot be read: {error.strerror}"
    size = expected.get("size") if isinstance(expected, dict) else None
    if found["size"] != size:
        return f"{file} has {found['size']} bytes where {MANIFEST} says {size}: it was cut short or changed"
    if found != expected:
        return f"{file} does not have the SHA-256 sum in {MANIFEST}: one of the two was changed or damaged"
    return ""


def _sum(path: Path) -> dict[str, Any]:
    """A file's entry in the manifest."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return {"size": size, "sha256": digest.hexdigest()}
