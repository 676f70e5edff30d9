"""A folder's manifest: the size and SHA-256 sum of its files, to tell a whole one from a damaged one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import open_regular, read_json

MANIFEST = "manifest.json"
MANIFEST_BYTES = 2**20


class FileSum(TypedDict):
    """The entry of a file in a manifest."""

    size: Annotated[int, Ge(0)]
    sha256: str


class Manifest(TypedDict):
    """The content of a manifest."""

    files: dict[str, FileSum]


def write_manifest(folder: Path, names: Sequence[str]) -> None:
    """Write down the sums of these files."""
    content = {"files": {name: _sum(folder / name) for name in names}}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def fault(path: Path, names: Sequence[str], sums: bool = True) -> str:
    """The fault of the first file that is not as the manifest says; empty if there is none.

    Args:
        path: the folder.
        names: of the files.
        sums: whether sums are compared too, for which files are read whole; else sizes alone.
    """
    if not path.is_dir():
        return f"{path} is not the folder of a checkpoint, which is named like step-00001200"
    if not (path / MANIFEST).exists():
        return f"{path / MANIFEST} is missing: the checkpoint is not whole"
    try:
        expected = read_json(path / MANIFEST, Manifest, MANIFEST_BYTES, remedy="")["files"]
    except InputError as error:
        return str(error).replace("cannot be read: ", "cannot be read, it is damaged: ", 1).rstrip(" .")
    lacking = [name for name in names if name not in expected]
    if lacking:
        return f"{path / MANIFEST} cannot be read, it is damaged: it says nothing of {lacking[0]}"
    return next((fault for name in names if (fault := _difference(path / name, expected[name], sums))), "")


def _difference(file: Path, expected: FileSum, sums: bool) -> str:
    if not file.exists():
        return f"{file} is missing"
    try:
        size = file.stat().st_size
        if size != expected["size"]:
            return f"{file} has {size} bytes where {MANIFEST} says {expected['size']}: it was cut short or changed"
        found = _sum(file) if sums else expected
    except (InputError, OSError) as error:
        return f"{file} cannot be read: {error}"
    if found != expected:
        return f"{file} does not have the SHA-256 sum in {MANIFEST}: one of the two was changed or damaged"
    return ""


def _sum(path: Path) -> dict[str, Any]:
    """A file's entry in the manifest."""
    digest, size = hashlib.sha256(), 0
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return {"size": size, "sha256": digest.hexdigest()}
