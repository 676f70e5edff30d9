"""How long a thread keeps its core busy while it waits for the others."""

from __future__ import annotations

import os
import sys

SPINS = "GOMP_SPINCOUNT"
BRIEFLY = (
    "30000"  # looks at whether the others are done, about 0.1 ms, before a thread sleeps; GNU's default is 300,000
)
SAID_BY_USER = (SPINS, "OMP_WAIT_POLICY")


def spin_briefly() -> bool:
    """Ask GNU's OpenMP runtime, which torch's builds for Linux bring along, to let waiting threads sleep soon.

    A product of matrices is cut into a part a thread, and who is done first waits for the others in a loop. On a quiet
    machine that saves the time of falling asleep. Beside other work the partner may be waiting for a core, and the loop
    keeps one from it. The runtime reads its variable once, when torch is loaded, so that it is to be set before. It
    concerns the whole process and its children: programs ask for it and the library never does; `ltm` does.

    Returns:
        Whether it was asked: not if the user has said how to wait, and not if torch is there already.
    """
    if "torch" in sys.modules or any(name in os.environ for name in SAID_BY_USER):
        return False
    os.environ[SPINS] = BRIEFLY
    return True
