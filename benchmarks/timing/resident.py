"""Memory that a process occupies, now and at most."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Peak(NamedTuple):
    """Bytes that a process occupied.

    Attributes:
        before: with the weights made, and no step taken.
        most: at any time until the last step was taken.
    """

    before: int
    most: int

    @property
    def step(self) -> int:
        """Peak memory of the steps alone, in bytes."""
        return self.most - self.before


def most_bytes() -> int:
    """The most that this process has occupied; not what its parent had when it was made, which `ru_maxrss` may be."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _unit()
    return next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def forget_most() -> None:
    """Let `most_bytes` begin anew, where the system can: on Linux."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def now_bytes() -> int:
    """Bytes that this process occupies now."""
    pages = Path("/proc/self/statm")
    if not pages.exists():  # no such place but on Linux: the most so far, which is close
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _unit()
    return int(pages.read_text().split()[1]) * resource.getpagesize()


def _unit() -> int:
    return 1 if sys.platform == "darwin" else 1024
