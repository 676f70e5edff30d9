"""The launcher of this process, if it is one of several."""

from __future__ import annotations

import os


def launched() -> int:
    """How many processes `torchrun` or `accelerate launch` has started; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def is_first() -> bool:
    """Whether this process speaks for all; known before there is an `Accelerator`, from what launched it."""
    return launched() == 1 or os.environ.get("RANK", "0") == "0"
