"""Stopping a run politely: a signal becomes a request, so that the loop can end its step and save."""

import signal
import threading
import time
from types import FrameType
from typing import Any


class Interruption:
    """Turns Ctrl-C (SIGINT) and a scheduler's SIGTERM into a request that the loop looks at between two steps.

    A second SIGINT is for the impatient: it raises `KeyboardInterrupt` at once, as Python does by default.
    Previous handlers come back at the end. Signals the process was told to ignore (`nohup`, a background job)
    stay ignored. Outside the main thread, where Python allows no handlers, this does nothing.

    Args:
        echo: seconds after the first signal in which another SIGINT is only its echo: a launcher of several processes
            passes on to each of them the Ctrl-C that the terminal has sent to all.

    Example:
        >>> with Interruption() as interruption:
        ...     for step in range(10):
        ...         if interruption.requested:
        ...             break  # save, say that "SIGINT" ended the run, and leave
    """

    requested: str | None = None
    """The name of the first signal that came, "SIGINT" or "SIGTERM"; None as long as there was none."""

    @property
    def number(self) -> int:
        """That signal's number; 0 as long as there was none."""
        return signal.Signals[self.requested] if self.requested else 0

    def __init__(self, echo: float = 0.0) -> None:
        self.echo = echo
        self._first = 0.0  # when the first signal came
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
            # None stands for a handler that was not set from Python, which cannot be put back from here.
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
