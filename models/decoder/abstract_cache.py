"""The cache of a decoder: its state of texts that are being written."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class AbstractCache(ABC):
    """State of N texts that are being written: `prefill` makes it, `decode_step` and `decode_steps` take it on."""

    @property
    @abstractmethod
    def position(self) -> int:
        """Number of tokens read, of the text that has most of them."""

    @abstractmethod
    def rewind(self, read: Tensor) -> None:
        """Forget the last tokens of each text, up to 1 + `ahead` of them; the host waits for the device.

        Args:
            read: how many tokens of each text stay read, shape (N,).
        """
