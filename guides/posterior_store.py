"""A store of posteriors between epochs, in memory or in a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError

FIRST = 256  # initial room, in texts; it doubles as they come
LARGEST = 2**30  # bytes of all rows, without a capacity
NAMES = ("texts", "slots", "rows")  # in a state dict


class PosteriorStore(nn.Module):
    """Bounded store of n float32 numbers for each text; the text written longest ago makes room for a new one.

    The store stays on the CPU when its parent module moves, and is in the parent's state dict: `texts`, the keys from
    the oldest on, (N, 2), `slots`, the indices of their rows, (N,), and `rows`, (N, n).

    Attributes:
        forgotten: the number of texts that have made room for others.

    Args:
        capacity: the largest number of texts; None is what fits in 1 GiB.
        folder: the folder of an unnamed file for the rows, of the full size; None keeps them in memory.

    Raises:
        InputError: for a capacity below 1; at the first write, if the file cannot be created.
    """

    def __init__(self, capacity: int | None = None, folder: str | None = None) -> None:
        super().__init__()
        if capacity is not None and capacity < 1:
            raise InputError(f"capacity={capacity}: expected room for one text at least")
        self.capacity, self.folder = capacity, folder
        self.forgotten = 0
        self._slots: dict[bytes, int] = {}  # oldest first
        self._rows = torch.empty(0, 0)

    def __len__(self) -> int:
        return len(self._slots)

    def most(self, size: int) -> int:
        """The largest number of texts, for rows of `size` numbers."""
        return max(1, LARGEST // (4 * size)) if self.capacity is None else self.capacity

    def read(self, keys: Sequence[bytes]) -> tuple[list[int], Tensor]:
        """Indices of the keys that are in the store, and their rows, (number of these, n)."""
        known = [index for index, key in enumerate(keys) if key in self._slots]
        return known, self._rows[[self._slots[keys[index]] for index in known]]

    def write(self, keys: Sequence[bytes], rows: Tensor) -> None:
        """Store rows (B, n) by their keys; rows that are not finite are left out."""
        rows = rows.detach().to("cpu", torch.float32)
        for key, row, finite in zip(keys, rows, rows.isfinite().all(1).tolist(), strict=True):
            if finite:
                slot = self._slot(key, len(row))
                self._rows[slot] = row

    def _slot(self, key: bytes, size: int) -> int:
        """The slot for a text's row; the text becomes the youngest."""
        slot = self._slots.pop(key, None)
        if slot is None:
            full = len(self._slots) == self.most(size)
            slot = self._slots.pop(next(iter(self._slots))) if full else len(self._slots)
            self.forgotten += full
        if slot >= len(self._rows):
            self._make_room(slot + 1, size)
        self._slots[key] = slot
        return slot

    def _make_room(self, count: int, size: int) -> None:
        if self.folder is not None:
            larger = self._mapped(self.folder, size)
        else:
            larger = torch.empty(min(self.most(size), max(count, FIRST, 2 * len(self._rows))), size)
        if len(self._rows):
            larger[: len(self._rows)] = self._rows
        self._rows = larger

    def _mapped(self, folder: str, size: int) -> Tensor:
        """All rows, memory-mapped from a file that is deleted when the process ends."""
        count = self.most(size)
        needed = 4 * count * size
        try:
            handle, name = tempfile.mkstemp(prefix="posteriors-", dir=folder)
            try:
                if hasattr(os, "posix_fallocate"):  # so that a full disk fails here, and not during a write
                    os.posix_fallocate(handle, 0, needed)
                return torch.from_file(name, shared=True, size=needed // 4).view(count, size)
            finally:
                os.close(handle)
                with suppress(OSError):  # Windows keeps the name of an open file
                    os.unlink(name)
        except OSError as error:
            raise InputError(
                f"a file of {needed / 1e9:.2g} GB for {count} posteriors of {size} numbers cannot be made in {folder}: "
                f"{error.strerror or error}. Give a folder with room for it, or a smaller capacity"
            ) from error

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        texts = torch.frombuffer(bytearray(b"".join(self._slots)), dtype=torch.int64) if self._slots else torch.empty(0)
        slots = torch.tensor(list(self._slots.values()), dtype=torch.int64)
        tensors = texts.to(torch.int64).view(-1, 2), slots, self._rows[: len(self._slots)]
        destination.update({f"{prefix}{name}": tensor for name, tensor in zip(NAMES, tensors, strict=True)})

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        missing = [f"{prefix}{name}" for name in NAMES if f"{prefix}{name}" not in state_dict]
        if missing:
            missing_keys.extend(missing)
            return
        texts, slots, rows = (state_dict[f"{prefix}{name}"].cpu() for name in NAMES)
        most = self.most(rows.shape[1]) if len(rows) else 0
        if len(texts) > most:
            error_msgs.append(f"{prefix}: {len(texts)} posteriors do not fit into capacity={most}")
            return
        self._slots, self._rows = {}, torch.empty(0, 0)
        if len(rows):
            self._make_room(len(rows), rows.shape[1])
            self._rows[: len(rows)] = rows
        keys = [text.numpy().tobytes() for text in texts]
        self._slots = dict(zip(keys, slots.tolist(), strict=True))

    def extra_repr(self) -> str:
        return f"capacity={self.capacity}, folder={self.folder}"
