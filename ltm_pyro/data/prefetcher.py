"""One thing made ahead of time, in a thread of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class Prefetcher(Generic[Key, Made]):
    """Makes what will be asked for next while what was asked for last is in use.

    The thread ends with the object, and with the interpreter.

    Args:
        make: makes one thing; it is called in the thread, once at a time. It must not hold this object.

    Attributes:
        waited: seconds spent in `get`, in all.
    """

    def __init__(self, make: Callable[[Key], Made]) -> None:
        self.waited = 0.0
        self._make = make
        self._process = 0  # which a thread belongs to: it does not follow into a fork
        self._asked: tuple[Key, Future[Made]] | None = None

    def get(self, key: Key) -> Made:
        """The value that `make` makes of a key; work begun for another key is dropped.

        Raises:
            Exception: what `make` raises.
        """
        began = time.perf_counter()
        self.begin(key)
        assert self._asked is not None
        (_, made), self._asked = self._asked, None
        try:
            return made.result()
        finally:
            self.waited += time.perf_counter() - began

    def begin(self, key: Key) -> None:
        """Start to make what `get` will be asked for next."""
        if self._process != os.getpid():
            self._thread, self._process, self._asked = ThreadPoolExecutor(1, "ahead"), os.getpid(), None
        if self._asked is None or self._asked[0] != key:
            self.drop()
            self._asked = key, self._thread.submit(self._make, key)

    def drop(self) -> None:
        """Forget what was begun."""
        if self._asked is not None:
            self._asked[1].cancel()
        self._asked = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_thread": None, "_process": 0, "_asked": None}
