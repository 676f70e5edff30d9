"""Whether saved weights are those of a model: names, shapes and types before they are read, finite numbers after."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.training.state_files import TensorHeader, read_header

SPARE = 2**31  # bytes of buffers that may be larger in the file than in a new model: a guide's memory of posteriors


def refuse_other_weights(path: Path, parameters: Mapping[str, Tensor], remedy: Callable[[], str]) -> None:
    """Compare the header of a file of weights with the parameters they are for; no tensor is read.

    Args:
        path: the safetensors file.
        parameters: of the model, by the names that the file should have for them.
        remedy: says what to do, a whole sentence; asked if need be.

    Raises:
        InputError: naming the first parameter that is not there, or has another shape or type; or if the file holds
            more than the parameters and what a guide may remember.
    """
    found = read_header(path)
    fault = next((fault for name, own in parameters.items() if (fault := _fault(name, own, found))), "")
    most = SPARE + sum(own.numel() * own.element_size() for own in parameters.values())
    if not fault and (size := sum(entry.bytes for entry in found.values())) > most:
        fault = f"it holds {size:,} bytes, and the model's parameters are {most - SPARE:,}"
    if fault:
        raise InputError(f"{path} does not hold the weights of this run's model: {fault}. {remedy()}")


def refuse_non_finite(
    path: Path, weights: Mapping[str, Tensor], names: Iterable[str], remedy: Callable[[], str]
) -> None:
    """Refuse a NaN anywhere, and an infinity in a parameter; a buffer, such as a mask, may hold infinities.

    Args:
        path: of their file, for the message.
        weights: by name.
        names: those of parameters.
        remedy: says what to do, a whole sentence; asked if need be.

    Raises:
        InputError: naming the first tensor with such a number, and how many it has.
    """
    parameters = set(names)
    for name, tensor in weights.items():
        if not tensor.is_floating_point() and not tensor.is_complex():
            continue
        bad = ~torch.isfinite(tensor) if name in parameters else torch.isnan(tensor)
        if count := int(bad.sum()):
            raise InputError(
                f"{path}: {name} holds {count:,} numbers of {tensor.numel():,} that are not finite (NaN or infinite), "
                f"and nothing computed with them would be a number. {remedy()}"
            )


def _fault(name: str, own: Tensor, found: Mapping[str, TensorHeader]) -> str:
    """The fault of one parameter in a file; empty if there is none."""
    if name not in found:
        near = next((other for other in found if _stem(other) == _stem(name)), None)
        return f"it has no {name}" + (f" (it has {near})" if near else "")
    entry = found[name]
    if entry.shape != tuple(own.shape):
        return f"{name} is {entry.shape} there and {tuple(own.shape)} in the model"
    if entry.dtype != own.dtype:
        return f"{name} is of {entry.dtype} there and of {own.dtype} in the model"
    return ""


def _stem(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())[-8:]
