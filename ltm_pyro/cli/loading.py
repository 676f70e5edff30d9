"""A run's trained objects, on the device that serves them best."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from ltm_pyro.training.blueprint import Blueprint
    from ltm_pyro.training.run import Run


def load(run: Run, which: str) -> tuple[Blueprint, torch.device]:
    """The run's objects with the weights of a checkpoint, `which` as in `Run.load`, and where they are."""
    import pyro

    pyro.enable_validation(False)  # its checks look at the device many times a step
    device = best_device()
    return run.load(which).to(device), device


def best_device() -> torch.device:
    """A GPU if there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
