"""Optimizer steps as differentiable functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from ltm_pyro.errors import InputError


class _Rule(Protocol):
    def __call__(
        self, row: Tensor, slope: Tensor, moments: Sequence[Tensor], number: int, rate: float
    ) -> tuple[Tensor, ...]:
        """Update of a row and its moments in step `number`, counted from 0."""


class Update(NamedTuple):
    """Update rule of an optimizer for a row, and its number of moments, which start at zero."""

    rule: _Rule
    moments: int


def differentiable_step(optimizer: Optimizer) -> Update:
    """Update rule of an SGD, with or without momentum, or of an Adam.

    Raises:
        InputError: for any other optimizer, or unsupported options of these.
    """
    options = optimizer.param_groups[0]
    unlike = [name for name in ("maximize", "amsgrad", "decoupled_weight_decay") if options.get(name)]
    if type(optimizer) not in _RULES or unlike:
        name = f"{type(optimizer).__name__}{f' with {unlike[0]}' if unlike else ''}"
        raise InputError(
            f"the steps of {name} cannot be differentiated: take torch.optim.SGD or "
            "torch.optim.Adam as fast.optimizer, or let the encoder learn with through='own'"
        )
    rule, moments = _RULES[type(optimizer)]
    return Update(partial(rule, options), moments)


def _sgd(
    options: dict[str, Any], row: Tensor, slope: Tensor, moments: Sequence[Tensor], number: int, rate: float
) -> tuple[Tensor, ...]:
    slope = slope + options["weight_decay"] * row
    (velocity,) = moments
    if not options["momentum"]:
        return row - rate * slope, velocity
    velocity = slope if number == 0 else options["momentum"] * velocity + (1 - options["dampening"]) * slope
    direction = slope + options["momentum"] * velocity if options["nesterov"] else velocity
    return row - rate * direction, velocity


def _adam(
    options: dict[str, Any], row: Tensor, slope: Tensor, moments: Sequence[Tensor], number: int, rate: float
) -> tuple[Tensor, ...]:
    slope = slope + options["weight_decay"] * row
    first, second = options["betas"]
    mean, square = moments
    mean = first * mean + (1 - first) * slope
    square = second * square + (1 - second) * slope.square()
    unbiased = square / (1 - second ** (number + 1))
    positive = unbiased > 0  # the root is not differentiable at zero, where gradient and step are zero
    root = torch.where(positive, torch.where(positive, unbiased, 1.0).sqrt(), 0.0)
    return row - rate * (mean / (1 - first ** (number + 1))) / (root + options["eps"]), mean, square


_RULES: dict[type, tuple[Any, int]] = {torch.optim.SGD: (_sgd, 1), torch.optim.Adam: (_adam, 2)}
