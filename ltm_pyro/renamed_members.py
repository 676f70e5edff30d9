"""Members of guides, priors and bounds that have another name now; nobody would ask for the old one."""

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
    """Raises InputError for a class that defines a member by its old name, with the new one."""
    for old, new in RENAMED.items():
        if old in vars(cls):
            raise InputError(
                f"{cls.__name__}.{old}: this member is called {new} now, and would not be asked for: rename it"
            )


def refuse_renamed_arguments(cls: type, renamed: Mapping[str, str]) -> None:
    """Raises InputError for a class whose own constructor takes an argument by its old name, with the new one."""
    taken = inspect.signature(vars(cls)["__init__"]).parameters if "__init__" in vars(cls) else {}
    for old, new in renamed.items():
        if old in taken:
            raise InputError(f"{cls.__name__}.__init__: the argument {old} is called {new} now: rename it")
