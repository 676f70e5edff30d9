"""Grid of a scaling study: dimensions, their values, and the models of their combinations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_yaml
from ltm_pyro.runs.config import Settings, merged
from ltm_pyro.runs.names import did_you_mean

# Dimensions of training: argument of `ltm train`, and short name in folders and figures.
TRAINED = {
    "fast_steps": ("fast.steps", "T"),
    "thoughts": ("decoder.thoughts", "K"),
    "layers": ("decoder.layers", "L"),
    "width": ("decoder.width", "D"),
    "window": ("decoder.window", "w"),
}
INFERENCE, AS_TRAINED = "inference_steps", "training"
HELP = {
    "fast_steps": "T_fast in training",
    "thoughts": "K, thoughts a layer; N_z is L x K",
    "layers": "L",
    "width": "D",
    "window": "of self-attention, tokens",
    INFERENCE: f"T_fast at inference, each on all trained models; `{AS_TRAINED}` is as many as in training",
}


def key_of(sizes: Mapping[str, int], seed: int) -> str:
    """Folder name of a model and a seed."""
    return "-".join([*(f"{TRAINED[name][1]}{value}" for name, value in sizes.items()), f"seed{seed}"])


def named(sizes: Mapping[str, int]) -> str:
    """Name of a model by its value in each dimension of training."""
    return ", ".join(f"{name} {value}" for name, value in sizes.items())


def read_grid(path: Path | str | None, given: Mapping[str, Sequence[Any] | None]) -> dict[str, list[Any]]:
    """Values of every dimension in the grid file or in the arguments.

    Args:
        path: path of a YAML file of dimensions, each with a value or a list of values.
        given: values by arguments, which override the file's; None if not given.

    Raises:
        InputError: if the file cannot be read, a dimension is unknown, or a value is invalid.
    """
    where = str(path) if path is not None else "the grid"
    dimensions = {
        **({} if path is None else _read(Path(path))),
        **{k: list(v) for k, v in given.items() if v is not None},
    }
    if not dimensions:
        raise InputError(f"{where} has no dimension: give one or more of {', '.join(HELP)}, as --fast_steps 2 4 8")
    for name in dimensions:
        if name not in HELP:
            raise InputError(
                f"{where}: {name!r} is no dimension: {did_you_mean(str(name), HELP)}Dimensions: {', '.join(HELP)}"
            )
    return {name: _values(where, name, content) for name, content in dimensions.items()}


def sizes_of(grid: Mapping[str, Sequence[Any]], usual: Mapping[str, int]) -> list[dict[str, int]]:
    """Sizes of every model of a grid; a dimension that is not in the grid has its usual value."""
    values = [grid.get(name, [usual[name]]) for name in TRAINED]
    return [dict(zip(TRAINED, combination, strict=True)) for combination in itertools.product(*values)]


def change_of(sizes: Mapping[str, int]) -> Settings:
    """Settings of a run with the given sizes."""
    return merged({}, {TRAINED[name][0]: value for name, value in sizes.items()})


def _read(path: Path) -> dict[str, Any]:
    content = read_yaml(path, remedy="Expected YAML such as `fast_steps: [2, 4, 8]`", follow=True)
    if not isinstance(content, dict):
        raise InputError(f"--grid {path}: expected dimensions with their values, such as `fast_steps: [2, 4, 8]`")
    return content


def _values(where: str, name: str, content: Any) -> list[Any]:
    values = content if isinstance(content, list) else [content]
    least, word = (0, f", or {AS_TRAINED}") if name == INFERENCE else (1, "")
    for value in values:
        is_valid = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not is_valid and not (name == INFERENCE and value == AS_TRAINED):
            raise InputError(f"{where}: {name} {value!r}: expected whole numbers from {least} on{word}")
    if not values or len(set(values)) < len(values):
        raise InputError(f"{where}: {name} {values}: expected one or more different values")
    return values
