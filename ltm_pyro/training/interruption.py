"""Graceful interruption: a signal becomes a request, so that the training loop can finish its step and save."""

import signal
import threading
import time
from types import FrameType
from typing import Any


class Interruption:
    """Context manager that turns SIGINT (Ctrl-C) and SIGTERM into a request, which the loop checks between two steps.

    A second SIGINT raises `KeyboardInterrupt` at once, as Python does by default. The previous handlers are restored
    at the end. Signals that the process ignores (`nohup`, a background job) stay ignored. Outside the main thread,
    where Python allows no handlers, the context manager does nothing.

    Args:
        echo: seconds after the first signal during which further ones are ignored as duplicates: a launcher of several
            processes passes the Ctrl-C on to each, although the terminal has sent it to all.

    Example:
        >>> with Interruption() as interruption:
        ...     for step in range(10):
        ...         if interruption.requested:
        ...             break  # save, say that "SIGINT" ended the run, and leave
    """

    requested: str | None = None
    """The name of the first signal received, "SIGINT" or "SIGTERM"; None before any."""

    @property
    def number(self) -> int:
        """The number of the first signal received; 0 before any."""
        return signal.Signals[self.requested] if self.requested else 0

    def __init__(self, echo: float = 0.0) -> None:
        self.echo = echo
        self._first = 0.0  # time of the first signal
        self._previous: dict[int, Any] = {}
        self._interrupts = 0

    def __enter__(self) -> "Interruption":
        self.requested = None
        self._interrupts = 0
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            # None: the handler was not set from Python and cannot be restored from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested is None:
            self.requested, self._first = signal.Signals(number).name, now
        elif now - self._first < self.echo:
            return
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
