"""Words of `ltm train` in the commands of studies that train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ltm_pyro.errors import InputError


def refuse_instead(what: str, argv: Sequence[str], instead: Mapping[str, str]) -> None:
    """Refuse arguments of `ltm train` for which a study has its own.

    Args:
        what: the study, as it is called.
        argv: that are for `ltm train`.
        instead: what to do in the place of an argument, by its name; its own arguments are refused with it.

    Raises:
        InputError: naming the argument.
    """
    for name, remedy in instead.items():
        given = [word for word in argv if word == name or word.startswith((f"{name}=", f"{name}."))]
        if given:
            raise InputError(f"{given[0]} is not for a {what}: {remedy}")
