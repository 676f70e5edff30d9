"""Prefetching of one value in a thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class Prefetcher(Generic[Key, Made]):
    """Prefetcher that computes the next value in a thread while the last one is in use.

    The thread ends with the object, and with the interpreter.

    Args:
        make: computes the value of a key, in the thread, one at a time. It must not refer to this object.

    Attributes:
        waited: seconds spent in `get`, in all.
    """

    def __init__(self, make: Callable[[Key], Made]) -> None:
        self.waited = 0.0
        self._make = make
        self._process = 0  # the process of the thread, which does not exist in a fork
        self._asked: tuple[Key, Future[Made]] | None = None

    def get(self, key: Key) -> Made:
        """The value of a key, computed by `make`; a value begun for another key is dropped.

        Raises:
            Exception: what `make` raises.
        """
        began = time.perf_counter()
        self.begin(key)
        assert self._asked is not None
        (_, future), self._asked = self._asked, None
        try:
            return future.result()
        finally:
            self.waited += time.perf_counter() - began

    def begin(self, key: Key) -> None:
        """Start to compute the value of the next key."""
        if self._process != os.getpid():
            self._thread, self._process, self._asked = ThreadPoolExecutor(1, "ahead"), os.getpid(), None
        if self._asked is None or self._asked[0] != key:
            self.drop()
            self._asked = key, self._thread.submit(self._make, key)

    def drop(self) -> None:
        """Drop the value that was begun."""
        if self._asked is not None:
            self._asked[1].cancel()
        self._asked = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_thread": None, "_process": 0, "_asked": None}
