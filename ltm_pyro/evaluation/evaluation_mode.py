"""Context manager for evaluation: evaluation mode, isolated random state, one estimate of the normaliser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module, guide: Any, seed: int | None = None) -> Iterator[None]:
    """Put model and guide into evaluation mode; an unnormalised prior estimates its normaliser once in the context.

    Modes and the global random state are restored at the end.

    Args:
        model, guide: modules under evaluation.
        seed: seed of all noise in the context; None keeps the current state of the generator.
    """
    modes = [(module, module.training) for module in (model, guide)]
    normaliser_held = getattr(getattr(model, "prior", None), "normaliser_held", nullcontext)
    try:
        for module, _ in modes:
            module.eval()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            if seed is not None:
                torch.manual_seed(seed)
            with normaliser_held():
                yield
    finally:
        for module, was_training in modes:
            module.train(was_training)
