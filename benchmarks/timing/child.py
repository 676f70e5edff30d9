"""How a process that is measured is set up: as `ltm train` sets itself up, with seeds."""

import pyro
import torch

from ltm_pyro.allocation import keep_freed_memory


def set_up(threads: int, seed: int) -> None:
    """Set up this process; threads and seed are torch's."""
    keep_freed_memory()
    pyro.enable_validation(False)
    torch.set_num_threads(threads)
    pyro.set_rng_seed(seed)
