"""Variants of a study: named changes to its common settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import Settings


class Variant(NamedTuple):
    """Name in tables, and the settings that replace those of the base.

    Example:
        >>> Variant("a mixture of 4", {"prior": {"class_path": "MixturePrior"}}).folder
        'a-mixture-of-4'
    """

    name: str
    change: Settings

    @property
    def folder(self) -> str:
        """Name as a part of folder names."""
        return folder_of(self.name)

    def __str__(self) -> str:
        return self.name


def as_variants(role: str, given: Mapping[str, Mapping[str, Any]] | Sequence[str]) -> list[Variant]:
    """Variants by name, in order.

    Args:
        role: `prior` or `guide`: the setting that a class replaces; also used in messages.
        given: changes by name; or classes by name or import path, with default arguments.

    Raises:
        InputError: if there is none, or if two names differ by punctuation alone.
    """
    if isinstance(given, Mapping):
        variants = [Variant(name, dict(change)) for name, change in given.items()]
    else:
        variants = [Variant(path, {role: {"class_path": path}}) for path in given]
    if not variants:
        raise InputError(f"no {role} to compare: give one or more")
    refuse_alike(role, [variant.name for variant in variants])
    return variants


def refuse_alike(role: str, names: Sequence[str]) -> None:
    """Check the names of variants; raises InputError if two would share a folder."""
    folders = [folder_of(name) for name in names]
    for place, name in enumerate(names):
        if folders[place] in folders[:place]:
            raise InputError(
                f"--{role}s {name}: given twice, or differs from another by punctuation alone; leave one out"
            )


def folder_of(name: str) -> str:
    """Name as a part of folder names."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.")
