"""Finding the files a path stands for, and reading their documents."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ltm_pyro.data.document import Document
from ltm_pyro.data.readers import READERS
from ltm_pyro.errors import InputError


def read_files(paths: Iterable[str | os.PathLike[str]], field: str | None = None) -> Iterator[Document]:
    """The documents of files and folders, in the order given; folders sorted, no file twice.

    Documents are named by their path below the folder common to all the files, so that names, and the split made
    from them, do not depend on where the data lie.
    """
    found = {Path(path): find_files(Path(path).expanduser()) for path in paths}
    parents = [file.absolute().parent for files in found.values() for file in files]
    root = os.path.commonpath(parents)
    filled: dict[Path, bool] = {}  # whether a file that has been read holds text
    for path, files in found.items():
        for file in (file.absolute() for file in files):
            if file not in filled:
                filled[file] = False
                for document in _read_file(file, root, field):
                    filled[file] = True
                    yield document
        if not any(filled[file.absolute()] for file in files):
            raise InputError(f"{path} holds no text: it is empty, or only white space")


def find_files(path: Path) -> list[Path]:
    """The readable files a path stands for: itself, or those below it, sorted, hidden ones left out.

    Raises:
        InputError: no such file (near names are given), an unknown extension, or nothing readable in the folder.
    """
    if path.is_dir():
        return _files_below(path)
    if not path.exists():
        raise InputError(f"there is no file or folder {path}.{_near(path)}")
    if path.suffix.lower() not in READERS:
        raise InputError(
            f"{path} has an extension that is not known. Known: {', '.join(READERS)}. "
            f"If it is plain text, copy it: cp '{path}' '{path.with_suffix('.txt')}'"
        )
    return [path]


def _files_below(folder: Path) -> list[Path]:
    inside = [file for file in folder.rglob("*") if not _hidden(file.relative_to(folder)) and file.is_file()]
    files = sorted(file for file in inside if file.suffix.lower() in READERS)
    if not files:
        others = ", ".join(sorted({file.suffix or file.name for file in inside})[:10]) or "nothing"
        raise InputError(f"no file in {folder} can be read. Known extensions: {', '.join(READERS)}. Found: {others}")
    return files


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_file(file: Path, root: str, field: str | None) -> Iterator[Document]:
    name = file.absolute().relative_to(root).as_posix()
    entries = READERS[file.suffix.lower()](file, field)
    return (Document(text, name + place, name + place) for place, text in entries if text.strip())


def _near(path: Path) -> str:
    """A sentence that names what may have been meant, or nothing."""
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return f" Near names in {folder}: {', '.join(near)}"
    if not folder.is_dir() and len(path.parts) == 2 and path.suffix.lower() not in READERS:
        return f" For a data set of the Hugging Face hub, write hf:{path.as_posix()}"
    return f" The folder {folder} does not exist" if not folder.is_dir() else " Check the path"
