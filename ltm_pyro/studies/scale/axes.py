"""Axes of a grid that are arguments of `ltm train`, of numbers, words or classes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import CLASSES, Settings
from ltm_pyro.studies.variants import folder_of

Label = str | int | float | bool
SINGLE = ("prior", "transport", "guide", "thought_width")  # arguments without a group
GROUPS = ("decoder", "prior", "transport", "guide", "fast", "slow", "train")
OF_TRAINING = ("steps", "schedule_steps", "batch_size", "accumulate", "precision", "patience")
INSTEAD = {
    "corpus": "all models are trained and scored on one text: make a study of each corpus",
    "data": "all models are trained and scored on one text, cut in one way: make a study of each",
    "decoder": "make a study of each class of decoder, by --decoder",
    "model": "a grid of T_fast and thoughts needs a Latent Thought Model",
    "train.seed": "give the seeds by --seeds",
}
LONGEST = 100  # characters of the axes in the name of a folder


class Value(NamedTuple):
    """Value of an axis.

    Attributes:
        label: in tables and figures; a number if the value is one.
        change: settings that the value replaces, by path.
    """

    label: Label
    change: Settings


def is_axis(name: str) -> bool:
    """True if a name has the form of an argument that may be an axis."""
    return name in SINGLE or ("." in name and name.split(".")[0] in GROUPS)


def axes_of(row: Mapping[str, Any]) -> list[str]:
    """Names of the axes in a record of a model: no other key of a record has the form of one."""
    return [key for key in row if is_axis(key)]


def is_numeric(labels: Sequence[Any]) -> bool:
    """True if all labels are numbers, so that figures can be drawn against them."""
    return all(isinstance(label, int | float) and not isinstance(label, bool) for label in labels)


def refuse_unfit_axis(where: str, name: str) -> None:
    """Refuse arguments that cannot be an axis.

    Raises:
        InputError: with the remedy.
    """
    for refused, remedy in INSTEAD.items():
        if name == refused or (refused == "data" and name.startswith("data.")):
            raise InputError(f"{where}: {name} is no dimension of a grid: {remedy}")
    group, _, rest = name.partition(".")
    if group == "train" and rest not in OF_TRAINING:
        raise InputError(
            f"{where}: {name} is no dimension of a grid, since it changes no weights; of `train` those are "
            f"{', '.join(OF_TRAINING)}"
        )


def values_of(where: str, name: str, content: Any) -> list[Value]:
    """Values of an axis: plain ones, classes by name, or classes with `class_path` and `init_args`.

    Raises:
        InputError: if there is none, or one is given twice.
    """
    values = [_value(name, value) for value in (content if isinstance(content, list) else [content])]
    labels = [value.label for value in values]
    folders = [folder_of(str(label)) for label in labels]
    if not values or len(set(folders)) < len(folders) or len(set(labels)) < len(labels):
        shown = " ".join(map(str, labels))
        raise InputError(f"{where}: {name} {shown}: expected one or more different values")
    return values


def folder_part(axes: Mapping[str, Label]) -> list[str]:
    """Part of a folder's name for the values of all axes."""
    text = "-".join(folder_of(f"{name}-{label}") for name, label in axes.items())
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    return [text] if text else []


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names for tables and figures: the last part of each path, or all of it where two would be the same."""
    last = [name.rpartition(".")[2] for name in names]
    return {name: end if last.count(end) == 1 else name for name, end in zip(names, last, strict=True)}


def _value(name: str, value: Any) -> Value:
    if isinstance(value, Value):
        return value
    if name not in CLASSES:
        plain = isinstance(value, str | int | float)
        return Value(value if plain else str(value), {name: value})
    if isinstance(value, str):
        return Value(value, {name: {"class_path": value}})
    arguments = ", ".join(f"{key}={item}" for key, item in (value.get("init_args") or {}).items())
    class_name = str(value.get("class_path")).rpartition(".")[2]
    return Value(f"{class_name}({arguments})" if arguments else class_name, {name: value})
