"""The number and rank of launched processes, from the launcher's environment variables."""

from __future__ import annotations

import os


def launched() -> int:
    """Number of processes that `torchrun` or `accelerate launch` has started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def is_first() -> bool:
    """True in the first of the launched processes, which prints for all; needs no `Accelerator`."""
    return launched() == 1 or os.environ.get("RANK", "0") == "0"
