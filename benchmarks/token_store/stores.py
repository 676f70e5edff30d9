"""Two stores of tokenized documents, cut into windows: ours, and Arrow files as `datasets` reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

PART, KEY = "training", "0" * 32
ROWS = 1000  # windows in one record batch, as `datasets` has them


class TokenizedDocument(NamedTuple):
    """A document's tokens, and the bytes that each stands for."""

    name: str
    ids: np.ndarray
    byte_counts: np.ndarray


class Windows(Protocol):
    """Windows of a store that was opened."""

    def __len__(self) -> int: ...
    def batch(self, ids: np.ndarray) -> tuple[Tensor, Tensor]:
        """Tokens and byte counts, int64, shape (B, T)."""


class AbstractStore(ABC):
    """Windows in a folder.

    Args:
        folder: theirs.
        length: T, tokens of a window.
        end: the token behind each document, which also fills the last window.
        vocabulary: V.
    """

    def __init__(self, folder: Path, length: int, end: int, vocabulary: int) -> None:
        self.folder, self.length, self.end, self.vocabulary = folder, length, end, vocabulary

    @abstractmethod
    def build(self, documents: Iterable[TokenizedDocument]) -> None:
        """Write the documents, which are read once and never held together."""

    @abstractmethod
    def open(self) -> Windows:
        """The windows, which stay on disk.

        Raises:
            Exception: they are not there, or known to be damaged.
        """

    @property
    @abstractmethod
    def largest(self) -> Path:
        """The file with the tokens."""


class OurStore(AbstractStore):
    """Columns in flat files, back to back, with their sizes and CRC-32 sums in a header."""

    def build(self, documents: Iterable[TokenizedDocument]) -> None:
        from ltm_pyro.data.cache import Cache
        from ltm_pyro.data.encoded import Encoder, creator

        def fill(place: Path) -> dict[str, Any]:
            with ExitStack() as files:
                encoder = Encoder("windows", self._tokenizer, self.length, creator(place, PART, files))
                for document in documents:
                    encoder.add(*document)
                return encoder.notes()

        Cache(self.folder).add(KEY, fill)

    def open(self) -> Windows:
        from ltm_pyro.data.cache import Cache
        from ltm_pyro.data.cutting import sequences_of
        from ltm_pyro.data.encoded import Encoded

        entry = Cache(self.folder).find(KEY)
        if entry is None:
            raise OSError("there is no such entry, or it is damaged")
        encoded = Encoded.load(entry.folder, PART, entry.notes)
        return OurWindows(sequences_of("windows", encoded, self._tokenizer, self.length))

    @property
    def largest(self) -> Path:
        return self.folder / KEY / f"{PART}.tokens"

    @property
    def _tokenizer(self) -> Any:
        """The part of a tokenizer that the store needs, without encoding."""

        class Ends(NamedTuple):
            bos_id: int
            eos_id: int
            pad: int
            vocabulary: int

        return Ends(self.end, self.end, self.end, self.vocabulary)


class OurWindows:
    """`Sequences`, without what a batch has besides."""

    def __init__(self, sequences: Any) -> None:
        self.sequences = sequences

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, ids: np.ndarray) -> tuple[Tensor, Tensor]:
        batch = self.sequences.batch(ids)
        return batch.x, batch.byte_counts


class ArrowStore(AbstractStore):
    """One row a window, in an Arrow stream that `datasets` maps into memory."""

    def build(self, documents: Iterable[TokenizedDocument]) -> None:
        import pyarrow
        from datasets import Features, Sequence, Value
        from datasets.arrow_writer import ArrowWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        numbers = "uint16" if self.vocabulary <= 2**16 else "uint32"
        row = {name: Sequence(Value(kind), length=self.length) for name, kind in self._kinds(numbers)}
        with ArrowWriter(path=str(self.largest), features=Features({**row, "name": Value("string")})) as writer:
            for names, tokens, byte_counts in self._blocks(documents):
                columns = {"tokens": tokens.astype(numbers), "byte_counts": byte_counts.astype("uint16")}
                lists = {
                    name: pyarrow.FixedSizeListArray.from_arrays(column, self.length)
                    for name, column in columns.items()
                }
                writer.write_table(pyarrow.table({**lists, "name": names}))
            writer.finalize()

    def open(self) -> Windows:
        from datasets import Dataset

        return ArrowWindows(Dataset.from_file(str(self.largest)).with_format("numpy", ["tokens", "byte_counts"]))

    @property
    def largest(self) -> Path:
        return self.folder / f"{PART}.arrow"

    def _kinds(self, numbers: str) -> list[tuple[str, str]]:
        return [("tokens", numbers), ("byte_counts", "uint16")]

    def _blocks(self, documents: Iterable[TokenizedDocument]) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
        """Names, tokens and byte counts of so many windows at a time; the last one is filled up."""
        names: list[str] = []
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        count, size = 0, ROWS * self.length
        for name, ids, byte_counts in documents:
            waiting.append((np.append(ids, self.end), np.append(byte_counts, 0)))
            count += len(ids) + 1
            names += [name] * (count // self.length - len(names))
            if count >= size:
                tokens, sizes = (np.concatenate(column) for column in zip(*waiting, strict=True))
                whole = count // size * size
                yield names[: whole // self.length], tokens[:whole], sizes[:whole]
                names, waiting, count = names[whole // self.length :], [(tokens[whole:], sizes[whole:])], count - whole
        tokens, sizes = (np.concatenate(column) for column in zip(*waiting, strict=True))
        short = -count % self.length
        tokens, sizes = np.append(tokens, [self.end] * short), np.append(sizes, [0] * short)
        windows = len(tokens) // self.length
        yield (names + [name] * windows)[:windows], tokens, sizes


class ArrowWindows:
    """Rows of a data set."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, ids: np.ndarray) -> tuple[Tensor, Tensor]:
        import torch

        rows = self.rows[ids]
        tokens, byte_counts = (torch.from_numpy(rows[name].astype(np.int64)) for name in ("tokens", "byte_counts"))
        return tokens, byte_counts


STORES: dict[str, type[AbstractStore]] = {"ours": OurStore, "arrow": ArrowStore}
