"""Grid of a scaling study: dimensions, their values, and the models of their combinations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_yaml
from ltm_pyro.runs.config import CLASSES, Settings, merged
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.studies.scale.axes import Label, Value, folder_part, is_axis, refuse_unfit_axis, values_of

# Dimensions of training: argument of `ltm train`, and short name in folders and figures.
TRAINED = {
    "fast_steps": ("fast.steps", "T"),
    "thoughts": ("decoder.thoughts", "K"),
    "layers": ("decoder.layers", "L"),
    "width": ("decoder.width", "D"),
    "window": ("decoder.window", "w"),
}
BY_ARGUMENT = {argument: name for name, (argument, _) in TRAINED.items()}
INFERENCE, AS_TRAINED = "inference_steps", "training"
HELP = {
    "fast_steps": "T_fast in training",
    "thoughts": "K, thoughts a layer; N_z is L x K",
    "layers": "L",
    "width": "D",
    "window": "of self-attention, tokens",
    INFERENCE: f"T_fast at inference, each on all trained models; `{AS_TRAINED}` is as many as in training",
}


def key_of(point: Mapping[str, Label], seed: int) -> str:
    """Folder name of a model and a seed."""
    sizes = [f"{TRAINED[name][1]}{value}" for name, value in point.items() if name in TRAINED]
    axes = folder_part({name: label for name, label in point.items() if name not in TRAINED})
    return "-".join([*sizes, *axes, f"seed{seed}"])


def named(point: Mapping[str, Label]) -> str:
    """Name of a model by its value in each dimension of training."""
    return ", ".join(f"{name} {value}" for name, value in point.items())


def read_grid(path: Path | str | None, given: Mapping[str, Sequence[Any] | None]) -> dict[str, list[Any]]:
    """Values of every dimension in the grid file or in the arguments.

    Args:
        path: path of a YAML file of dimensions, each with a value or a list of values. A dimension may be any argument
            of `ltm train` that changes weights, by its path, such as `slow.learning_rate`.
        given: values by arguments, which override the file's; None if not given.

    Raises:
        InputError: if the file cannot be read, a dimension is unknown, or a value is invalid.
    """
    where = str(path) if path is not None else "the grid"
    dimensions = {
        **({} if path is None else _read(Path(path))),
        **{k: list(v) for k, v in given.items() if v is not None},
    }
    dimensions = _by_name(where, dimensions)
    if not dimensions:
        raise InputError(
            f"{where} has no dimension: give one or more of {', '.join(HELP)}, as --fast_steps 2 4 8, or any argument "
            "of ltm train, as --grid.slow.learning_rate 1e-3 4e-3"
        )
    for name in dimensions:
        refuse_unfit_axis(where, name)
        if name not in HELP and not is_axis(name):
            raise InputError(
                f"{where}: {name!r} is no dimension: {did_you_mean(name, HELP)}Dimensions: {', '.join(HELP)}, and "
                "arguments of ltm train by their paths, such as slow.learning_rate"
            )
    return {
        name: _values(where, name, content) if name in HELP else values_of(where, name, content)
        for name, content in dimensions.items()
    }


def _by_name(where: str, dimensions: Mapping[Any, Any]) -> dict[str, Any]:
    """Dimensions by their names: `fast.steps` is `fast_steps`."""
    renamed: dict[str, Any] = {}
    for path, content in dimensions.items():
        name = BY_ARGUMENT.get(str(path), str(path))
        if name in renamed:
            raise InputError(f"{where}: {name} is given twice, also as {TRAINED[name][0]}: leave one out")
        renamed[name] = content
    return renamed


Point = dict[str, Value]


def points_of(grid: Mapping[str, Sequence[Any]], usual: Mapping[str, Any]) -> list[Point]:
    """Points of a grid, a model each; a size that is not in the grid has its usual value.

    Args:
        grid: values by dimension, from `read_grid`.
        usual: sizes of the base; those that its decoder does not have are None, and left out.
    """
    sizes = {name: grid.get(name, [usual[name]]) for name in TRAINED}
    values: dict[str, list[Value]] = {
        name: [Value(value, {TRAINED[name][0]: value}) for value in of] for name, of in sizes.items() if of != [None]
    }
    values |= {name: list(of) for name, of in grid.items() if name not in HELP}
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def labels_of(point: Point) -> dict[str, Label]:
    """Labels of a point by dimension."""
    return {name: value.label for name, value in point.items()}


def with_point(base: Settings, point: Point) -> Settings:
    """Settings of a model: those of the base with the values of a point, classes before their arguments."""
    changes = sorted((value.change for value in point.values()), key=lambda change: min(map(_depth, change)))
    return merged(base, *changes)


def _depth(path: str) -> int:
    return path.count(".")


def _read(path: Path) -> dict[str, Any]:
    content = read_yaml(path, remedy="Expected YAML such as `fast_steps: [2, 4, 8]`", follow=True)
    if not isinstance(content, dict):
        raise InputError(f"--grid {path}: expected dimensions with their values, such as `fast_steps: [2, 4, 8]`")
    return {name: _as_read(str(name), of) for name, of in content.items()}


def _as_read(name: str, content: Any) -> Any:
    """Values as the parser of arguments reads them, to which 1e-3 is a number, although it is a text in YAML."""
    from jsonargparse import get_loader

    if isinstance(content, list):
        return [_as_read(name, item) for item in content]
    return get_loader("yaml")(content) if isinstance(content, str) and name not in CLASSES else content


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
