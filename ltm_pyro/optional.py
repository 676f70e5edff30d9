"""Packages that an extra installs, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from torch.distributions import Distribution

from ltm_pyro.errors import InputError


def import_zuko() -> ModuleType:
    """The package `zuko`, imported without its side effects.

    Raises:
        InputError: if it is not installed.
    """
    # its import switches the validation of all distributions off, for everyone
    kept = {name: vars(Distribution)[name] for name in ("_validate_args", "arg_constraints")}
    try:
        return import_extra("zuko", "flows", "a flow")
    finally:
        for name, value in kept.items():
            setattr(Distribution, name, value)


def import_extra(package: str, extra: str, what: str) -> ModuleType:
    """A package that an extra installs.

    Args:
        package: its import name.
        extra: of ltm-pyro.
        what: needs it, for the message.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{what} needs the package {package}, which is not installed: pip install 'ltm-pyro[{extra}]'"
        ) from error
