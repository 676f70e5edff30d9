"""The random generators of a run: seeded together, saved in checkpoints, and restored bit for bit."""

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
        InputError: if the seed is out of the range that all of them take.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; expected 0 <= seed < 2**32 = 4294967296, which NumPy's generator takes.")
    pyro.set_rng_seed(seed)  # torch.manual_seed, and with it every CUDA device, numpy.random.seed, random.seed


def seed_torch(*place: int) -> None:
    """Seed torch (all devices) from a position in a run, such as (seed, step, slice), which thus has its own noise.

    The noise does not depend on earlier draws or on the process.
    """
    torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))


def random_state() -> dict[str, Any]:
    """The state of all generators, as plain values and tensors that `state_files.save_state` can write."""
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": _tensors_for_arrays(np.random.get_state(legacy=False)),  # noqa: NPY002
        "python": {"version": version, "internal": torch.tensor(internal, dtype=torch.int64), "gauss": gauss},
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Restore the state of all generators from `random_state`.

    The states of CUDA devices that are missing now are ignored: such a run can be resumed, but its draws on the GPU
    differ from those of the uninterrupted run.
    """
    torch.set_rng_state(state["torch"].cpu())
    for device, device_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(device_state.cpu(), device)
    np.random.set_state(_arrays_for_tensors(state["numpy"]))  # noqa: NPY002
    python = state["python"]
    random.setstate((python["version"], tuple(python["internal"].tolist()), python["gauss"]))


def remark_on_threads(state: Mapping[str, Any]) -> str:
    """Message for a checkpoint saved with another number of threads; empty if the number is the same.

    The number of threads determines how sums are divided, hence their last bits, and after some steps the weights.

    Args:
        state: of the checkpoint; the oldest do not record the number of threads.
    """
    saved, now = state.get("threads"), torch.get_num_threads()
    if torch.cuda.is_available() or saved in (None, now):
        return ""
    return (
        f"It was trained with {saved} thread{'s' * (saved != 1)}, and is resumed with {now}: the last bits will differ "
        f"from those of an uninterrupted run. OMP_NUM_THREADS={saved} gives equal bits"
    )


def _tensors_for_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tensors_for_arrays(item) for key, item in value.items()}
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def _arrays_for_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _arrays_for_tensors(item) for key, item in value.items()}
    return value.numpy() if isinstance(value, torch.Tensor) else value
