"""Bytes that a process sends, and bytes that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode


class Traffic(TorchDispatchMode):
    """Counts what this process sends in collectives, within.

    A collective on S bytes is counted as its ring algorithm sends it from each of N processes: (N - 1) / N · S for a
    gather or a scatter of S in all, and twice that for a sum that all get.

    Attributes:
        bytes: sent.
        calls: collectives, each by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.calls = 0, []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if DTensor in types:
            return NotImplemented  # it comes again, as what its shards take part in
        if getattr(func, "namespace", "") in ("c10d", "_c10d_functional") and "wait" not in func.__name__:
            whole = max(sum(tensor.nbytes for tensor in tensors(part)) for part in args)
            if "all_gather_into_tensor" in func.__name__:  # whose output is no argument
                whole *= dist.get_world_size()
            share = (dist.get_world_size() - 1) / dist.get_world_size()
            self.bytes += round(whole * share * (2 if "reduce" in func.__name__ and "all" in func.__name__ else 1))
            self.calls.append(func.__name__)
        return func(*args, **(kwargs or {}))


def tensors(part: Any) -> Iterator[Tensor]:
    """All tensors of nested lists."""
    if isinstance(part, Tensor):
        yield part
    elif isinstance(part, (list, tuple)):
        for each in part:
            yield from tensors(each)


def bytes_held(weights: Iterable[nn.Parameter], optimizer: Optimizer) -> int:
    """Bytes of this process's weights and of its optimizer's state, each storage once."""
    moved = [weight for group in optimizer.param_groups for weight in group["params"]]
    values = [value for of in optimizer.state.values() for value in of.values() if isinstance(value, Tensor)]
    storages = {}
    for tensor in [*weights, *moved, *values]:
        local = tensor.detach()
        storage = (local.to_local() if isinstance(local, DTensor) else local).untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())
