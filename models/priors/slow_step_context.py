"""The context of a slow step, as training passes it to a prior."""

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
        step: its number, counted from 1.
        ids: indices of the batch among the `texts`, shape (B,).
        texts: all training texts.
        model: the model, which has the prior.
        guide: the guide, which after the step holds the posteriors of the batch.
        fit: the fast loop, `fit(x, mask, previous=previous)`, after which the guide holds the posteriors of these
        texts. optimizer: the optimizer of the slow step.
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
    """Set an optimizer's running means to zero for entries of a parameter that were replaced.

    Args:
        optimizer: one with states of the parameter's shape, such as Adam; other states stay.
        parameter: one of its parameters.
        dim: the dimension that the entries index.
        entries: indices of the replaced entries, shape (n,).
    """
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value.index_fill_(dim, entries, 0.0)
