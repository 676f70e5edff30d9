"""Packages that an extra installs, imported where they are used."""

from __future__ import annotations

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
        import zuko
    except ModuleNotFoundError as error:
        raise InputError(
            "a flow needs the package zuko, which is not installed: pip install 'ltm-pyro[flows]'"
        ) from error
    finally:
        for name, value in kept.items():
            setattr(Distribution, name, value)
    return zuko
