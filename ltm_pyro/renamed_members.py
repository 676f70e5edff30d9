"""Renamed members of guides, priors and bounds; a member under its old name would never be called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from ltm_pyro.errors import InputError

RENAMED = {
    "conclude": "after_fit",
    "teach": "backward_guide",
    "refines": "needs_unrolled",
    "learning_from": "on_slow_step",
    "admit": "check_site",
    "unclaimed": "without_claim",
    "remark": "status",
}


def refuse_renamed_members(cls: type) -> None:
    """Raise InputError, with the new name, for a class that defines a member by its old name."""
    for old, new in RENAMED.items():
        if old in vars(cls):
            raise InputError(
                f"{cls.__name__}.{old}: this member is called {new} now, and the old name is never used: rename it"
            )


def refuse_renamed_arguments(cls: type, renamed: Mapping[str, str]) -> None:
    """Raise InputError, with the new name, for a class whose own constructor takes an argument by its old name."""
    parameters = inspect.signature(vars(cls)["__init__"]).parameters if "__init__" in vars(cls) else {}
    for old, new in renamed.items():
        if old in parameters:
            raise InputError(f"{cls.__name__}.__init__: the argument {old} is called {new} now: rename it")
