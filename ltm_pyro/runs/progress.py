"""A progress line: updated in place in a terminal, printed from time to time elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

QUIET_SECONDS = 15.0  # between two lines outside a terminal
LIVE_SECONDS = 0.1


class Progress:
    """Progress display of a loop, with the time left.

    Args:
        total: number of steps.
        done: number of steps done before.
        stream: the stream written to; standard error if None, so that a command's output stays clean.
    """

    def __init__(self, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.total, self.first, self.began = total, done, time.monotonic()
        self.live = self.stream.isatty()
        self.shown = -1e9
        self.width = 0

    def update(self, done: int, text: str = "") -> None:
        """Show that `done` steps are done, with a text beside the count."""
        now = time.monotonic()
        if now - self.shown < (LIVE_SECONDS if self.live else QUIET_SECONDS) and done < self.total:
            return
        self.shown = now
        line = "  ".join(part for part in (f"{done}/{self.total}", text, self._left(done, now)) if part)
        if self.live:
            line = line[: shutil.get_terminal_size().columns - 1]
            self.stream.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def _left(self, done: int, now: float) -> str:
        """The time left at the mean pace so far; empty before the first step."""
        if done <= self.first:
            return ""
        return f"{clock((now - self.began) / (done - self.first) * (self.total - done))} left"

    def clear(self) -> None:
        """Erase the live line, so that something else can be printed."""
        if self.live and self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()
            self.width = 0


SLOW = 0.05  # share of a step spent waiting for data, above which the line says so


def training_line(record: dict[str, Any]) -> str:
    """A training step's metrics in one line, in nats per token."""
    parts = [f"{_count(record['tokens'])} tokens", f"{_count(record['tokens_per_second'])}/s"]
    names = {"elbo": "ELBO", "log_likelihood": "log-lik", "kl": "KL"}
    parts += [f"{label} {record[name]:.3f}" for name, label in names.items() if name in record]
    layers = " ".join(f"{kl:.3f}" for kl in record.get("kl_per_layer", []))
    waiting = f"  {record['data_share']:.0%} waiting for data" if record.get("data_share", 0) > SLOW else ""
    return "  ".join(parts) + (f" [{layers}]" if layers else "") + waiting


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, remainder = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{remainder:02d}" if hours else f"{minutes}:{remainder:02d}"


def _count(number: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2f}{letter}"
    return f"{number:.0f}"
