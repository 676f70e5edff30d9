"""One kernel for all of an optimizer's step."""

from __future__ import annotations

from torch.optim import Optimizer


def fused(optimizer: Optimizer) -> Optimizer:
    """Let an optimizer that has a fused kernel take it, unless something else was asked for."""
    for group in optimizer.param_groups:
        if group.get("foreach", False) is None and group.get("fused", False) is None:
            group["fused"] = True
    return optimizer
