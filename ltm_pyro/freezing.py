"""Parameters that are held constant while others are optimised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor


@contextmanager
def frozen(parameters: Iterable[Tensor]) -> Iterator[None]:
    """Context manager in which `requires_grad` of these leaf tensors is False."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
