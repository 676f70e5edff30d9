"""Optional packages, each installed by an extra of ltm-pyro and imported where it is used."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from torch.distributions import Distribution

from ltm_pyro.errors import InputError


def import_zuko() -> ModuleType:
    """The package `zuko`, imported without its side effects.

    Raises:
        InputError: if it is not installed.
    """
    # importing zuko switches the validation of all distributions off, in the whole process
    saved = {name: vars(Distribution)[name] for name in ("_validate_args", "arg_constraints")}
    try:
        return import_extra("zuko", "flows", "a flow")
    finally:
        for name, value in saved.items():
            setattr(Distribution, name, value)


def require_extra(package: str, extra: str, what: str) -> None:
    """Check that an optional package is installed, without importing it; arguments and errors as of `import_extra`."""
    if find_spec(package) is None:
        raise InputError(_missing(package, extra, what))


def import_extra(package: str, extra: str, what: str) -> ModuleType:
    """An optional package, imported.

    Args:
        package: its import name.
        extra: the extra of ltm-pyro that installs it.
        what: the feature that needs it, for the message.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(_missing(package, extra, what)) from error


def _missing(package: str, extra: str, what: str) -> str:
    return f"{what} needs the package {package}, which is not installed: pip install 'ltm-pyro[{extra}]'"
