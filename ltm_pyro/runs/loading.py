"""Loading of a run's trained objects onto the chosen device."""

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
    """Open a run by `Run.open`; the current folder is searched for trusted code too."""
    if trust_code:
        look_in(os.getcwd())
    run = Run.open(os.fspath(folder), trust_code)
    say_once(run.remark)
    return run


def say_bases(run: Run) -> None:
    """Print what pretrained models a run that was made elsewhere makes this process read."""
    if not run.own:
        for base in run.bases:
            say_once(
                f"{run.folder} was not made on this machine; reading the pretrained model that it names as its "
                f"{base['part']}: {base['name']}"
            )


@lru_cache
def say_once(remark: str) -> None:
    """Print a remark about a file or a run, once in a process; nothing if it is empty."""
    if remark:
        say(remark)


def load(run: Run, which: str) -> tuple[RunComponents, torch.device]:
    """The run's objects with the weights of the checkpoint `which`, as in `Run.load`, and their device."""
    import pyro

    say_bases(run)
    pyro.enable_validation(False)  # its checks look at the device many times a step
    device = chosen_device()
    return run.load(which).to(device), device
