"""The names that a package exports: `__all__` from its imports, so that a new class takes one line."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from typing import Any


def offered(namespace: Mapping[str, Any]) -> list[str]:
    """Sorted names of the classes and functions that a package has imported from its own modules.

    Args:
        namespace: `globals()`, at the end of the package's `__init__.py`.
    """
    prefix = f"{namespace['__name__']}."
    objects = {name: value for name, value in namespace.items() if isinstance(value, type) or isfunction(value)}
    return sorted(name for name, value in objects.items() if value.__module__.startswith(prefix))
