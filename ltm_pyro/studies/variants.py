"""Variants of a study: what each of its models, or guides, changes in the settings that all have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import Settings


class Variant(NamedTuple):
    """A name, as it stands in tables, and the settings that are laid over the base.

    Example:
        >>> Variant("a mixture of 4", {"prior": {"class_path": "MixturePrior"}}).folder
        'a-mixture-of-4'
    """

    name: str
    change: Settings

    @property
    def folder(self) -> str:
        """As a part of a folder's name."""
        return folder_of(self.name)

    def __str__(self) -> str:
        return self.name


def as_variants(role: str, given: Mapping[str, Mapping[str, Any]] | Sequence[str]) -> list[Variant]:
    """Variants by name, in order.

    Args:
        role: `prior` or `guide`, which stands in messages, and is what a class alone changes.
        given: changes by name; or classes by name or import path, with their arguments at their defaults.

    Raises:
        InputError: if there is none, or two of them are told apart by signs alone.
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
    """Raises InputError if two variants would have one folder."""
    folders = [folder_of(name) for name in names]
    for place, name in enumerate(names):
        if folders[place] in folders[:place]:
            raise InputError(f"--{role}s {name}: it comes twice, or differs from another by signs alone; leave one out")


def folder_of(name: str) -> str:
    """A name as a part of a folder's."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.")
