"""Token ids as int64 tensors, the form in which every part of the library takes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ltm_pyro.errors import InputError


def token_ids(x: Any, name: str = "x") -> Tensor:
    """Token ids as an int64 tensor, from a tensor, an array or a list of any integer type.

    Raises:
        InputError: for numbers that are not whole.
    """
    ids = x if isinstance(x, Tensor) else torch.as_tensor(x)
    if ids.dtype == torch.int64:
        return ids
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise InputError(f"{name} is of {ids.dtype}: expected token ids, whole numbers of any integer type")
    return ids.to(torch.int64)


def check_range(ids: Tensor, vocabulary: int, name: str = "x") -> None:
    """Raise InputError if an id is outside the vocabulary; this synchronises host and device."""
    if bool(((ids < 0) | (ids >= vocabulary)).any()):
        raise InputError(
            f"{name} must hold token ids from 0 to {vocabulary - 1}: was it encoded with this model's own tokenizer?"
        )
