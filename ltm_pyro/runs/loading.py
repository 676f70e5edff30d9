"""A run's trained objects, on the device that serves them best."""

from __future__ import annotations

import os
from functools import lru_cache
from os import PathLike
from typing import TYPE_CHECKING

from ltm_pyro.device import chosen_device
from ltm_pyro.runs.console import say
from ltm_pyro.training.consent import look_in
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    import torch

    from ltm_pyro.training.build import RunComponents


def open_run(folder: PathLike[str] | str, trust_code: bool = False) -> Run:
    """A run, as `Run.open` opens it; trusted code is looked for in the current folder too."""
    if trust_code:
        look_in(os.getcwd())
    run = Run.open(os.fspath(folder), trust_code)
    say_once(run.remark)
    return run


@lru_cache
def say_once(remark: str) -> None:
    """Say what a file or a run that was made elsewhere is about to do, or is kept from."""
    if remark:
        say(remark)


def load(run: Run, which: str) -> tuple[RunComponents, torch.device]:
    """The run's objects with the weights of a checkpoint, `which` as in `Run.load`, and where they are."""
    import pyro

    pyro.enable_validation(False)  # its checks look at the device many times a step
    device = chosen_device()
    return run.load(which).to(device), device
