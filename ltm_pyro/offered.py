"""The names that a package offers: `__all__` from its imports, so that a new class takes one line."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from typing import Any


def offered(namespace: Mapping[str, Any]) -> list[str]:
    """The classes and functions that a package has imported from its own modules, by name in order.

    Args:
        namespace: `globals()`, at the end of the package's `__init__.py`.
    """
    own = f"{namespace['__name__']}."
    found = {name: value for name, value in namespace.items() if isinstance(value, type) or isfunction(value)}
    return sorted(name for name, value in found.items() if value.__module__.startswith(own))
