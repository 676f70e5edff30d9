"""Frozen parts of a module: weights that no optimizer, no gradient and no checkpoint knows of."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

NAMES = "frozen_names"  # attribute of a module: the names of its own frozen weights


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
                vars(part).setdefault(NAMES, set()).add(name)


def frozen_weights(module: nn.Module) -> Iterator[Tensor]:
    """The weights that `freeze` has turned into buffers, each once."""
    weights = (getattr(part, name) for part in module.modules() for name in sorted(vars(part).get(NAMES, ())))
    yield from {id(weight): weight for weight in weights}.values()
