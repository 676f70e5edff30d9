"""Axes of a grid on a command line: `--grid.ARGUMENT VALUE ...`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ltm_pyro.cli.named_classes import parse_named, variants_of
from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import CLASSES
from ltm_pyro.studies.scale.axes import Value

PREFIX = "--grid."


def divided(argv: Sequence[str]) -> tuple[list[str], dict[str, list[Any]]]:
    """The words that are no axes, and the values of every axis, as YAML.

    Raises:
        InputError: for an axis without a value, or one that is given twice.
    """
    others: list[str] = []
    texts: dict[str, list[str]] = {}
    axis: list[str] | None = None  # that takes the next words
    for word in argv:
        if word.startswith(PREFIX):
            name, equals, value = word.removeprefix(PREFIX).partition("=")
            if name in texts:
                raise InputError(f"{PREFIX}{name} is given twice: give all its values at once")
            axis = texts[name] = [value] if equals else []
        elif word.startswith("--"):
            axis = None
            others.append(word)
        else:
            (others if axis is None else axis).append(word)
    for name, values in texts.items():
        if not values:
            raise InputError(f"{PREFIX}{name}: expected one or more values after it")
    return others, {name: [_plain(name, text) for text in values] for name, values in texts.items()}


def axis_values(axes: Mapping[str, Sequence[Any]], argv: Sequence[str]) -> dict[str, list[Any]]:
    """Values of every axis; a class may have arguments, and be followed by arguments of `ltm train` for it alone.

    Args:
        axes: from `divided`.
        argv: words of `ltm train` for all models.

    Raises:
        InputError: for a class with arguments that `ltm train` refuses.
    """
    values: dict[str, list[Any]] = {}
    for name, given in axes.items():
        if name in CLASSES:
            classes = [parse_named(name, text, f"{PREFIX}{name}") for text in given]
            values[name] = [Value(variant.name, variant.change) for variant in variants_of(classes, argv)]
        else:
            values[name] = list(given)
    return values


def _plain(name: str, text: str) -> Any:
    """A value as the parser of arguments reads it, where 1e-3 is a number; the text of a class."""
    from jsonargparse import get_loader

    if name in CLASSES:
        return text
    try:
        return get_loader("yaml")(text)
    except Exception as error:
        raise InputError(f"{PREFIX}{name} {text}: expected a value in YAML") from error
