"""Fused optimizer kernels."""

from __future__ import annotations

from torch.optim import Optimizer


def fused(optimizer: Optimizer) -> Optimizer:
    """Switch an optimizer to its fused kernel, if it has one and the user has set neither `fused` nor `foreach`."""
    for group in optimizer.param_groups:
        if group.get("foreach", False) is None and group.get("fused", False) is None:
            group["fused"] = True
    return optimizer
