"""Every random generator a run draws from: seeded together, kept in the checkpoint, restored bit for bit."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyro
import torch

from ltm_pyro.errors import InputError


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), NumPy's global generator and Python's `random`.

    Raises:
        InputError: if the seed is not one that all of them take.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; expected 0 <= seed < 2**32 = 4294967296, which NumPy's generator takes.")
    pyro.set_rng_seed(seed)  # torch.manual_seed, and with it every CUDA device, numpy.random.seed, random.seed


def seed_torch(*place: int) -> None:
    """Seed torch (all devices) for a place in a run, such as (seed, step, slice): each has noise of its own.

    It does not matter what was drawn before, and by which process.
    """
    torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))


def random_state() -> dict[str, Any]:
    """Where all generators stand: plain values and tensors, as `state_files.save_state` writes them."""
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": _tensors_for_arrays(np.random.get_state(legacy=False)),  # noqa: NPY002
        "python": {"version": version, "internal": torch.tensor(internal, dtype=torch.int64), "gauss": gauss},
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put all generators back to where `random_state` found them.

    Without as many CUDA devices as there were, the states of the missing ones are left out: such a run can go
    on, but its draws on the GPU are not those of the uninterrupted run.
    """
    torch.set_rng_state(state["torch"].cpu())
    for device, device_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(device_state.cpu(), device)
    np.random.set_state(_arrays_for_tensors(state["numpy"]))  # noqa: NPY002
    python = state["python"]
    random.setstate((python["version"], tuple(python["internal"].tolist()), python["gauss"]))


def remark_on_threads(state: Mapping[str, Any]) -> str:
    """A remark for a checkpoint that another number of threads saved; empty if the number is the same.

    Where a sum is cut into other parts, its last bits are others, and after some steps the weights are.

    Args:
        state: of the checkpoint; the oldest do not say how many threads there were.
    """
    saved, now = state.get("threads"), torch.get_num_threads()
    if torch.cuda.is_available() or saved in (None, now):
        return ""
    return (
        f"It was trained by {saved} thread{'s' * (saved != 1)}, and goes on with {now}: its last bits will be others "
        f"than without the interruption. OMP_NUM_THREADS={saved} gives the same"
    )


def _tensors_for_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tensors_for_arrays(item) for key, item in value.items()}
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def _arrays_for_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _arrays_for_tensors(item) for key, item in value.items()}
    return value.numpy() if isinstance(value, torch.Tensor) else value
