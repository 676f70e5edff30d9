"""The time for which an OpenMP thread spins, rather than sleeps, while it waits for the other threads."""

from __future__ import annotations

import os
import sys

SPINS = "GOMP_SPINCOUNT"
BRIEFLY = "30000"  # iterations of the waiting loop, about 0.1 ms, before a thread sleeps; GNU's default is 300,000
SAID_BY_USER = (SPINS, "OMP_WAIT_POLICY")


def spin_briefly() -> bool:
    """Ask GNU's OpenMP runtime, which torch's builds for Linux contain, to let waiting threads sleep soon.

    A matrix product is divided among threads, and a thread that is done first waits for the others in a loop. On an
    idle machine that saves the time of going to sleep and waking. Beside other work another thread may be waiting for
    the core that the loop occupies. The runtime reads the variable once, when torch is loaded, so that it must be set
    before. It acts on the whole process and its children: programs call this function and the library never does;
    `ltm` calls it.

    Returns:
        True if the variable was set: not if the user has set how threads wait, and not if torch is already loaded.
    """
    if "torch" in sys.modules or any(name in os.environ for name in SAID_BY_USER):
        return False
    os.environ[SPINS] = BRIEFLY
    return True
