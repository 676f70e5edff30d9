"""The torch device of this process: a GPU if there is one, unless another device is chosen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    import torch

VARIABLE = "LTM_DEVICE"  # an environment variable, which child processes inherit


@contextmanager
def on_device(name: str | None) -> Iterator[None]:
    """Context manager in which this process and its children work on the device `name`; None changes nothing.

    Raises:
        InputError: if there is no such device.
    """
    if name is None:
        yield
        return
    device_named(name)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def chosen_device() -> torch.device:
    """The device chosen by `on_device` or by the environment; else a GPU if there is one.

    Raises:
        InputError: if the environment names a device that does not exist.
    """
    import torch

    if name := os.environ.get(VARIABLE):
        return device_named(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_chosen() -> bool:
    """True if a device was chosen, by `on_device` or by the environment."""
    return bool(os.environ.get(VARIABLE))


def device_named(name: torch.device | str) -> torch.device:
    """A device by its name: `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        InputError: if there is no such device.
    """
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(f"device {name}: {reason}. Give cpu, cuda or cuda:0, or leave it out") from error
    if device.type == "meta":
        raise InputError("device meta: its tensors hold no numbers. Give cpu, cuda or cuda:0, or leave it out")
    return device
