"""The files that a path stands for, and their documents."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ltm_pyro.data.document import Document
from ltm_pyro.data.encodings import refusal_of_format
from ltm_pyro.data.fields import Convert, NoFieldError, as_text
from ltm_pyro.data.folders import Identity, entries_below, identity, kind_of, once
from ltm_pyro.data.readers import READERS, read_plain
from ltm_pyro.data.remarks import Remarks
from ltm_pyro.data.text_file import HEAD, open_file
from ltm_pyro.errors import InputError


def read_files(
    paths: Iterable[str | os.PathLike[str]],
    field: str | None = None,
    remarks: Remarks | None = None,
    convert: Convert = as_text,
) -> Iterator[Document]:
    """The documents of files and folders, in the given order; folders are sorted, and no file is read twice.

    Documents are named by their path below the folder common to all files, so that names, and the split made from
    them, do not depend on the place of the data.

    Args:
        paths: files and folders.
        field: the field that holds the text; it does not apply to plain text among files with fields.
        remarks: collects messages about files that were skipped or are ambiguous.
        convert: the text of a field's value.
    """
    remarks = remarks or Remarks()
    files_of = {Path(path): find_files(Path(path).expanduser(), remarks) for path in paths}
    _refuse_field_of_plain([file for files in files_of.values() for file in files], field)
    parents = [file.absolute().parent for files in files_of.values() for file in files]
    root = os.path.commonpath(parents)
    filled: dict[Identity, bool] = {}  # True for a file with text, by file that has been read
    for path, files in files_of.items():
        for file, key in ((file.absolute(), identity(file)) for file in files):
            if key not in filled:
                filled[key] = False
                for document in _read_file(file, root, field, remarks, convert):
                    filled[key] = True
                    yield document
        if not any(filled[identity(file)] for file in files):
            raise InputError(f"{path} holds no text: it is empty, or only white space")


def find_files(path: Path, remarks: Remarks | None = None) -> list[Path]:
    """The readable files of a path: the file itself, or those below a folder, sorted, without hidden ones.

    A file that several links lead to is included once, under its own name if that is below the path too.

    Raises:
        InputError: if there is no such file (near names are given), its extension is unknown, or a folder has no
            readable file.
    """
    if os.path.isdir(path):
        return _files_below(path, remarks or Remarks())
    if not os.path.lexists(path):
        raise InputError(f"there is no file or folder {path}.{_near(path)}")
    if not path.is_file():
        raise InputError(
            f"{path} is {kind_of(path)}; expected a file or a folder. Give the path of a file with the text"
        )
    if path.suffix.lower() not in READERS:
        with open_file(path) as file:
            head = file.read(HEAD)
        raise refusal_of_format(path, head) or InputError(
            f"{path} has an unknown extension. Known: {', '.join(READERS)}. "
            f"If it is plain text, copy it: cp '{path}' '{path.with_suffix('.txt')}'"
        )
    return [path]


def _files_below(folder: Path, remarks: Remarks) -> list[Path]:
    entries = entries_below(folder)
    for entry in entries:
        if not entry.is_file():
            remarks.add(entry, f"left out, it is {kind_of(entry)}")
        elif entry.suffix.lower() not in READERS:
            remarks.add(entry, f"left out, {entry.suffix or 'a name without extension'} is not known")
    readable = (entry for entry in entries if entry.is_file() and entry.suffix.lower() in READERS)
    files = sorted(once(readable))
    if not files:
        extensions = ", ".join(sorted({entry.suffix or entry.name for entry in entries})[:10]) or "nothing"
        raise InputError(
            f"no file in {folder} can be read. Known extensions: {', '.join(READERS)}. Found: {extensions}"
        )
    return files


def _refuse_field_of_plain(files: list[Path], field: str | None) -> None:
    if field is not None and all(READERS[file.suffix.lower()] is read_plain for file in files):
        raise NoFieldError(f"{files[0]} is plain text and has no field {field!r}.", "Leave --data.field out")


def _read_file(file: Path, root: str, field: str | None, remarks: Remarks, convert: Convert) -> Iterator[Document]:
    name = file.relative_to(root).as_posix()
    try:
        for place, text in READERS[file.suffix.lower()](file, field, remarks, convert):
            if text.strip():
                yield Document(text, name + place, name + place)
    except MemoryError as error:
        raise InputError(f"{file} has a document that does not fit into memory. Divide it into smaller ones") from error


def _near(path: Path) -> str:
    """Sentence with near names, or another suggestion, for a path that does not exist."""
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return f" Near names in {folder}: {', '.join(near)}"
    if not folder.is_dir() and len(path.parts) == 2 and path.suffix.lower() not in READERS:
        return f" For a data set of the Hugging Face hub, write hf:{path.as_posix()}"
    return f" The folder {folder} does not exist" if not folder.is_dir() else " Check the path"
