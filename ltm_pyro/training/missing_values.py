"""Check for nulls in a configuration where a value is required, which the parser of arguments accepts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ltm_pyro.inference import FastLoop, SlowStep
from ltm_pyro.models import Decoder
from ltm_pyro.training.decoder_settings import is_flat
from ltm_pyro.training.settings import DataSettings, TrainSettings

if TYPE_CHECKING:
    from jsonargparse import Namespace

GROUPS: dict[str, Callable[..., Any]] = {
    "data": DataSettings,
    "decoder": Decoder,
    "fast": FastLoop,
    "slow": SlowStep,
    "train": TrainSettings,
}
NEEDED = ("model", "prior", "guide", "diffusion.loss", "fast.bound", "slow.bound")


def missing_value(config: Namespace) -> str | None:
    """The first argument that is null although it requires a value; None if there is none.

    An argument may be null if its default is, or if its annotation says so.
    """
    return next(_missing(config), None)


def _missing(config: Namespace) -> Iterator[str]:
    for name in (*GROUPS, "diffusion"):
        if config.get(name) is None:
            yield name
            return  # a null group has no arguments to check
    for name, constructor in GROUPS.items():
        named = name == "decoder" and not is_flat(config.decoder)
        yield from _missing_of_named(name, config[name]) if named else _missing_of(name, constructor, config[name])
    for name in NEEDED:
        if config.get(name) is None:
            yield name
    for name in ("prior", "transport", "guide", "reward"):
        yield from _missing_of_named(name, config.get(name))


def _missing_of(name: str, constructor: Callable[..., Any], values: Namespace) -> Iterator[str]:
    """Names of required arguments of a class or function that are null, those of nested classes included."""
    parameters = inspect.signature(constructor).parameters
    for key, value in vars(values).items():
        if value is None and key in parameters and not _may_be_null(parameters[key]):
            yield f"{name}.{key}"
        else:
            yield from _missing_of_named(f"{name}.{key}", value)


def _missing_of_named(name: str, value: Any) -> Iterator[str]:
    """`_missing_of` for a class that is given by its import path with arguments; nothing for any other value."""
    if hasattr(value, "clone") and value.get("class_path") and hasattr(value.get("init_args"), "clone"):
        module, _, cls = value["class_path"].rpartition(".")
        yield from _missing_of(name, getattr(import_module(module), cls), value["init_args"])


def _may_be_null(parameter: inspect.Parameter) -> bool:
    annotation = str(parameter.annotation)
    unknown = parameter.annotation in (inspect.Parameter.empty, Any)
    return parameter.default is None or unknown or "None" in annotation or "Optional" in annotation
