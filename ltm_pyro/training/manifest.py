"""The manifest of a folder: size and SHA-256 sum of its files, by which damage is detected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import open_regular, read_json
from ltm_pyro.files.digest import sha256_of

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
    """Write the manifest of a folder for the named files."""
    content = {"files": {name: _sum(folder / name) for name in names}}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def fault(path: Path, names: Sequence[str], sums: bool = True) -> str:
    """Description of the first file that differs from the manifest; empty if there is none.

    Args:
        path: the folder.
        names: of the files.
        sums: compare the sums, which reads the files; else only their sizes.
    """
    if not path.is_dir():
        return f"{path} is not the folder of a checkpoint, which is named like step-00001200"
    if not (path / MANIFEST).exists():
        return f"{path / MANIFEST} is missing: the checkpoint is incomplete"
    try:
        expected = read_json(path / MANIFEST, Manifest, MANIFEST_BYTES, remedy="")["files"]
    except InputError as error:
        return str(error).replace("cannot be read: ", "cannot be read, it is damaged: ", 1).rstrip(" .")
    lacking = [name for name in names if name not in expected]
    if lacking:
        return f"{path / MANIFEST} cannot be read, it is damaged: it has no entry for {lacking[0]}"
    return next((fault for name in names if (fault := _difference(path / name, expected[name], sums))), "")


def _difference(file: Path, expected: FileSum, sums: bool) -> str:
    if not file.exists():
        return f"{file} is missing"
    try:
        size = file.stat().st_size
        if size != expected["size"]:
            return f"{file} has {size} bytes where {MANIFEST} says {expected['size']}: it was truncated or changed"
        actual = _sum(file) if sums else expected
    except (InputError, OSError) as error:
        return f"{file} cannot be read: {error}"
    if actual != expected:
        return f"{file} does not have the SHA-256 sum in {MANIFEST}: one of the two was changed or damaged"
    return ""


def _sum(path: Path) -> dict[str, Any]:
    """The manifest's entry of a file, computed from its content."""
    with open_regular(path) as file:
        digest = sha256_of(file)
        return {"size": file.tell(), "sha256": digest}
