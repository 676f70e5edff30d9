"""Arrays that grow: in a file, or in memory."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

PIECE = 2**20  # numbers at once
WIDER = {np.dtype(np.uint16): np.dtype(np.uint32)}


class ArrayWriter:
    """A one-dimensional array that grows at its end; two bytes a number become four when one needs them.

    Args:
        file: empty, open for reading and writing: on disk, or an `io.BytesIO`.
        dtype: of the numbers.
    """

    def __init__(self, file: BinaryIO, dtype: type[np.generic]) -> None:
        self.file, self.dtype, self.length = file, np.dtype(dtype), 0

    def __len__(self) -> int:
        return self.length

    def append(self, values: np.ndarray) -> None:
        """Add numbers at the end."""
        while self.dtype in WIDER and values.max(initial=0) > np.iinfo(self.dtype).max:
            self._widen()
        self.file.write(np.ascontiguousarray(values, self.dtype).data)
        self.length += len(values)

    def _widen(self) -> None:
        old, self.dtype = self.dtype, WIDER[self.dtype]
        for first in reversed(range(0, self.length, PIECE)):  # from the end, so that nothing is written over unread
            self.file.seek(first * old.itemsize)
            values = np.frombuffer(self.file.read(min(PIECE, self.length - first) * old.itemsize), old)
            self.file.seek(first * self.dtype.itemsize)
            self.file.write(values.astype(self.dtype).tobytes())
        self.file.seek(self.length * self.dtype.itemsize)


def mapped(path: Path, dtype: str) -> np.ndarray:
    """The array that a column's file holds, which stays on disk."""
    if not path.stat().st_size:
        return np.zeros(0, dtype)  # nothing cannot be mapped
    return np.memmap(path, dtype, mode="r")
