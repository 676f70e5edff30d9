"""Arguments of `ltm train` in the commands of studies that train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ltm_pyro.errors import InputError


def refuse_instead(what: str, argv: Sequence[str], instead: Mapping[str, str]) -> None:
    """Refuse arguments of `ltm train` that a study sets itself.

    Args:
        what: the kind of study, for the message.
        argv: words for `ltm train`.
        instead: the remedy for each refused argument, by its name; arguments below it are refused too.

    Raises:
        InputError: naming the argument.
    """
    for name, remedy in instead.items():
        refused = [word for word in argv if word == name or word.startswith((f"{name}=", f"{name}."))]
        if refused:
            raise InputError(f"{refused[0]} is not for a {what}: {remedy}")
