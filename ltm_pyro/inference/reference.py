"""Frozen copies of modules, which share their pretrained weights."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

from torch import nn

from ltm_pyro.pretrained.freezing import frozen_weights

M = TypeVar("M", bound=nn.Module)


def reference_of(module: M) -> M:
    """A frozen copy of a module, in evaluation mode, which later steps of the original do not move.

    Weights that are frozen in the original, as those of a pretrained decoder, are shared and not copied: beside them
    the copy holds the adapters alone, as they are now.
    """
    shared = {id(weight): weight for weight in frozen_weights(module)}
    return deepcopy(module, shared).requires_grad_(False).eval()
