"""Frozen parts of a module: weights that no optimizer, no gradient and no checkpoint knows of."""

from __future__ import annotations

from torch import nn


def freeze(module: nn.Module) -> None:
    """Turn every parameter that does not require a gradient into a buffer that is not saved, in place.

    The module computes what it did. `parameters()` and `state_dict()` are those of its learning parts alone, so that a
    checkpoint holds no frozen weight and no optimizer has state for one; `to()` moves them as before.
    """
    for part in list(module.modules()):
        for name, weight in list(part.named_parameters(recurse=False)):
            if not weight.requires_grad:
                del part._parameters[name]
                part.register_buffer(name, weight.detach(), persistent=False)
