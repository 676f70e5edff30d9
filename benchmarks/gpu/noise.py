"""Noise that is the same on every device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

NORMAL = torch.ops.aten.normal_.default


class NoiseOfTheCPU(TorchDispatchMode):
    """Within, normal noise is drawn by the CPU's generator, in float64, and then moved and rounded.

    Each device has a generator of its own, so that equal seeds give other numbers elsewhere.

    Attributes:
        draws: how often noise was asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.draws = 0

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if function is not NORMAL:
            return function(*args, **(kwargs or {}))
        self.draws += 1
        target, *moments = args
        noise = NORMAL(torch.empty(target.shape, dtype=torch.float64), *moments)
        return target.copy_(noise)
