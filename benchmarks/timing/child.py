"""Setup of a measured process, as in `ltm train`, with seeds."""

import pyro
import torch

from ltm_pyro.allocation import keep_freed_memory


def set_up(threads: int, seed: int) -> None:
    """Set up this process with torch's number of threads and seed."""
    keep_freed_memory()
    pyro.enable_validation(False)
    torch.set_num_threads(threads)
    pyro.set_rng_seed(seed)
