"""Checks that saved weights fit a model: names, shapes and types before they are read, finite values after."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.training.state_files import TensorHeader, read_header

SPARE = 2**31  # bytes of buffers that the file may hold beyond a new model: a guide's memory of posteriors


def refuse_other_weights(path: Path, parameters: Mapping[str, Tensor], remedy: Callable[[], str]) -> None:
    """Compare the header of a file of weights with the parameters they are for; no tensor is read.

    Args:
        path: the safetensors file.
        parameters: of the model, by name.
        remedy: returns the remedy as a sentence; called only if there is an error.

    Raises:
        InputError: naming the first parameter that is missing, or has another shape or type; or if the file is larger
            than the parameters and a guide's memory of posteriors.
    """
    header = read_header(path)
    fault = next((fault for name, weight in parameters.items() if (fault := _fault(name, weight, header))), "")
    most = SPARE + sum(weight.numel() * weight.element_size() for weight in parameters.values())
    if not fault and (size := sum(entry.bytes for entry in header.values())) > most:
        fault = f"it holds {size:,} bytes, and the model's parameters are {most - SPARE:,}"
    if fault:
        raise InputError(f"{path} does not hold the weights of this run's model: {fault}. {remedy()}")


def refuse_non_finite(
    path: Path, weights: Mapping[str, Tensor], names: Iterable[str], remedy: Callable[[], str]
) -> None:
    """Refuse a NaN anywhere, and an infinity in a parameter; a buffer, such as a mask, may hold infinities.

    Args:
        path: of the weights' file, for the message.
        weights: by name.
        names: of the parameters among them.
        remedy: returns the remedy as a sentence; called only if there is an error.

    Raises:
        InputError: naming the first tensor with such values, and their number.
    """
    parameters = set(names)
    for name, tensor in weights.items():
        if not tensor.is_floating_point() and not tensor.is_complex():
            continue
        bad = ~torch.isfinite(tensor) if name in parameters else torch.isnan(tensor)
        if count := int(bad.sum()):
            raise InputError(
                f"{path}: {name} holds {count:,} numbers of {tensor.numel():,} that are not finite (NaN or infinite), "
                f"so that nothing computed with them would be. {remedy()}"
            )


def _fault(name: str, parameter: Tensor, header: Mapping[str, TensorHeader]) -> str:
    """Difference between a parameter and its entry in a file's header, as a clause; empty if there is none."""
    if name not in header:
        near = next((candidate for candidate in header if _stem(candidate) == _stem(name)), None)
        return f"it has no {name}" + (f" (it has {near})" if near else "")
    entry = header[name]
    if entry.shape != tuple(parameter.shape):
        return f"{name} has shape {entry.shape} in the file and {tuple(parameter.shape)} in the model"
    if entry.dtype != parameter.dtype:
        return f"{name} has type {entry.dtype} in the file and {parameter.dtype} in the model"
    return ""


def _stem(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())[-8:]
