"""Memory of the machine, and freed memory that a process keeps for its next allocation."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
LARGEST = 2**25  # bytes; the most that glibc takes from its heap, larger blocks are mapped one by one


def keep_freed_memory() -> bool:
    """Ask the C library not to hand freed memory back to the system at once.

    A pass on a CPU frees its activations and allocates as much again a moment later. With glibc's defaults their pages
    go back and forth between process and system, which can cost as much time as the arithmetic. The setting is of the
    whole process, so that programs call this function and the library never does: `ltm` calls it.

    Returns:
        True if the C library is glibc and accepted both settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, 2**31 - 1))


def machine_memory() -> int | None:
    """Bytes of memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
