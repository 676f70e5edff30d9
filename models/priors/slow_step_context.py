"""The context of a slow step, as training shows it to a prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer


class Texts(Protocol):
    """The training texts: `texts.batch(ids)` has `x` (B, T), `mask` (B, T) or None, and `previous` (B,)."""

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int]) -> Any: ...


class SlowStepContext(NamedTuple):
    """One slow step of training, for `AbstractPrior.on_slow_step`.

    Args:
        step: which one it is, counted from 1.
        ids: which of the `texts` the batch is made of, shape (B,).
        texts: all training texts.
        model: whose prior it is.
        guide: after the step it holds the posteriors of the batch.
        fit: the fast loop, `fit(x, mask, previous=previous)`, which leaves the guide with the posteriors of any texts.
        optimizer: of the slow step.
    """

    step: int
    ids: Tensor
    texts: Texts
    model: Any
    guide: Any
    fit: Callable[..., None]
    optimizer: Optimizer


@torch.no_grad()
def reset_optimizer_state(optimizer: Optimizer, parameter: Tensor, dim: int, entries: Tensor) -> None:
    """Set an optimizer's running means to zero where a parameter's entries have been given another meaning.

    Args:
        optimizer: with a state of the parameter's shape, as Adam has; any other state stays.
        parameter: one of its parameters.
        dim: where the entries are counted.
        entries: their indices, shape (n,).
    """
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value.index_fill_(dim, entries, 0.0)
