"""The state in which a model is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module, guide: Any, seed: int | None = None) -> Iterator[None]:
    """Within, model and guide are in evaluation mode, and a prior without a normaliser is bounded once for all numbers.

    Modes and the global random state come back at the end.

    Args:
        model, guide: what is measured.
        seed: of all noise within; as the generator stands if None.
    """
    modes = [(module, module.training) for module in (model, guide)]
    held = getattr(getattr(model, "prior", None), "normaliser_held", nullcontext)
    try:
        for module, _ in modes:
            module.eval()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            if seed is not None:
                torch.manual_seed(seed)
            with held():
                yield
    finally:
        for module, was_training in modes:
            module.train(was_training)
