"""Documents as tokens, back to back, as they grow and as they are kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np

from ltm_pyro.data.annotations import NO_LABEL, Annotations
from ltm_pyro.data.array_writer import ArrayWriter, mapped
from ltm_pyro.data.names import DocumentNames
from ltm_pyro.data.tokenizer import Tokenizer
from ltm_pyro.errors import InputError

Mode = Literal["windows", "documents"]
COLUMNS = ("tokens", "byte_counts", "bounds", "letters", "name_bounds", "prompts", "labels")


class Encoded(NamedTuple):
    """Documents as tokens, an end token after each, back to back; in memory, or mapped from files."""

    tokens: np.ndarray  # uint16 or uint32
    byte_counts: np.ndarray  # uint16 or uint32
    bounds: np.ndarray  # where each document starts, and where the last one stops
    names: DocumentNames
    truncated: int  # documents that were cut off
    byte_count: int  # the bytes that all the tokens stand for
    lost: str = ""  # what of the text is not in the tokens, in words
    annotations: Annotations = Annotations()

    @classmethod
    def of(cls, columns: dict[str, np.ndarray], notes: dict[str, Any]) -> Encoded:
        """From the columns and the notes of an `Encoder`."""
        names = DocumentNames(columns["letters"], columns["name_bounds"])
        tokens, byte_counts, bounds = (columns[name] for name in ("tokens", "byte_counts", "bounds"))
        annotations = Annotations(
            columns["prompts"] if notes["prompted"] else None,
            columns["labels"] if notes["values"] else None,
            tuple(notes["values"]),
            notes["score_prompts"],
        )
        counts = notes["truncated"], notes["byte_count"], notes["lost"]
        return cls(tokens, byte_counts, bounds, names, *counts, annotations)

    @classmethod
    def load(cls, folder: Path, part: str, notes: dict[str, Any]) -> Encoded:
        """The columns that an `Encoder` has left in a folder; they stay on disk.

        Raises:
            OSError: if it is gone.
        """
        dtypes = notes["dtypes"]
        return cls.of({name: mapped(folder / f"{part}.{name}", dtypes[name]) for name in COLUMNS}, notes)


class Encoder:
    """Takes tokenized documents one by one, whole or piece by piece, into files or into memory.

    Args:
        mode: `windows` keeps documents whole, with a begin token at the head of each if there is one of its own;
            `documents` cuts them off at T.
        tokenizer: theirs.
        length: T.
        create: makes an empty file, by a column's name; in memory if left out.
        values: the labels that are known; another label counts as none.
        score_prompts: as `Annotations` takes it.
    """

    def __init__(
        self,
        mode: Mode,
        tokenizer: Tokenizer,
        length: int,
        create: Callable[[str], BinaryIO] | None = None,
        values: Sequence[str] = (),
        score_prompts: bool = True,
    ) -> None:
        self.limit = None if mode == "windows" else length
        begins = mode == "windows" and tokenizer.bos_id != tokenizer.eos_id
        self.head = np.array([tokenizer.bos_id] * begins, dtype=np.int64)
        self.tail = np.array([tokenizer.eos_id], dtype=np.int64)
        numbers = np.uint16 if tokenizer.vocabulary - 1 < 2**16 else np.uint32
        types = (numbers, np.uint16, np.int64, np.uint8, np.int64, np.int64, np.int64)
        dtypes = dict(zip(COLUMNS, types, strict=True))
        self._columns = {name: ArrayWriter((create or _in_memory)(name), dtype) for name, dtype in dtypes.items()}
        for name in ("bounds", "name_bounds"):
            self._columns[name].append(np.zeros(1, dtype=np.int64))
        self.truncated = self.byte_count = 0
        self.lost = ""
        self._so_far = self._prompt = 0  # tokens of the document whose pieces are coming, and of its prompt
        self._prompted, self._score_prompts = False, score_prompts
        self._values = {value: number for number, value in enumerate(values)}

    def add(
        self,
        name: str,
        ids: np.ndarray,
        byte_counts: np.ndarray,
        last: bool = True,
        in_prompt: bool = False,
        label: str | None = None,
    ) -> None:
        """Add a document's next tokens.

        Args:
            name: of the document.
            ids, byte_counts: the tokens, and the bytes each stands for.
            last: True if the document ends with them.
            in_prompt: True if they belong to the document's prompt; one without an answer has no end token.
            label: of the document.
        """
        head, tail = self.head[: 0 if self._so_far else None], self.tail[: None if last and not in_prompt else 0]
        tokens = np.concatenate((head, ids, tail), dtype=self._columns["tokens"].dtype, casting="unsafe")
        sizes = np.concatenate((np.zeros_like(head), byte_counts, np.zeros_like(tail)))
        room = None if self.limit is None else max(self.limit - self._so_far, 0)
        self._so_far += len(tokens)
        self._prompt += len(tokens) if in_prompt else 0
        self.byte_count += int(sizes[:room].sum())
        self._columns["tokens"].append(tokens[:room])
        self._columns["byte_counts"].append(sizes[:room])
        if last:
            self._end(name, NO_LABEL if label is None else self._values.get(label, NO_LABEL))

    def _end(self, name: str, label: int) -> None:
        self.truncated += self.limit is not None and self._so_far > self.limit
        prompt = self._prompt if self.limit is None else min(self._prompt, self.limit)
        self._prompted = self._prompted or prompt > 0
        self._columns["prompts"].append(np.array([prompt]))
        self._columns["labels"].append(np.array([label]))
        self._so_far = self._prompt = 0
        self._columns["letters"].append(np.frombuffer(name.encode("utf-8", "surrogatepass"), np.uint8))
        for bounds, of in (("bounds", "tokens"), ("name_bounds", "letters")):
            self._columns[bounds].append(np.array([len(self._columns[of])]))

    def notes(self) -> dict[str, Any]:
        """Plain values that have to be known besides the columns.

        Raises:
            InputError: there was no document.
        """
        if len(self._columns["bounds"]) < 2:
            raise InputError("there is no text to cut into sequences: every document is empty")
        dtypes = {name: column.dtype.str for name, column in self._columns.items()}
        return {
            "truncated": self.truncated,
            "byte_count": self.byte_count,
            "lost": self.lost,
            "dtypes": dtypes,
            "prompted": self._prompted,
            "values": list(self._values),
            "score_prompts": self._score_prompts,
        }

    def encoded(self) -> Encoded:
        """All documents, where the columns are in memory."""
        notes = self.notes()
        files = {name: (column.file, column.dtype) for name, column in self._columns.items()}
        return Encoded.of({name: np.frombuffer(_all(file), dtype) for name, (file, dtype) in files.items()}, notes)


def creator(folder: Path, part: str, files: ExitStack) -> Callable[[str], BinaryIO]:
    """Makes the files of one part's columns; `files` closes them."""
    return lambda name: files.enter_context((folder / f"{part}.{name}").open("w+b"))


def _in_memory(name: str) -> BinaryIO:
    return io.BytesIO()


def _all(file: BinaryIO) -> memoryview:
    assert isinstance(file, io.BytesIO)
    return file.getbuffer()
