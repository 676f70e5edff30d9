"""Holding parameters still while others move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor


@contextmanager
def frozen(parameters: Iterable[Tensor]) -> Iterator[None]:
    """Within, these leaf tensors get no gradient, and none is computed for them."""
    moving = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)
