"""Objects that keep the arguments of their constructor, so that a run can record them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from ltm_pyro.renamed_members import refuse_renamed_members


class Recorded:
    """Base class whose `made_with` holds the arguments given to an object's constructor, by name.

    Example:
        >>> class Size(Recorded):
        ...     def __init__(self, width, depth=2):
        ...         self.area = width * depth
        >>> Size(3).made_with
        {'width': 3}
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_renamed_members(cls)
        if "__init__" in vars(cls):
            cls.__init__ = _recording(vars(cls)["__init__"])  # type: ignore[method-assign]

    @property
    def made_with(self) -> Mapping[str, Any]:
        arguments: Mapping[str, Any] = vars(self).get("_made_with", {})
        return arguments


def _recording(constructor: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(constructor)

    @wraps(constructor)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_made_with" not in vars(self):  # the outermost constructor is that of the object's own class
            vars(self)["_made_with"] = _named(signature, self, args, kwargs)
        constructor(self, *args, **kwargs)

    return construct


def _named(signature: inspect.Signature, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        bound = signature.bind(self, *args, **kwargs)
    except TypeError:
        return {}  # the constructor's own TypeError names the missing argument
    named = dict(list(bound.arguments.items())[1:])
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            named |= named.pop(parameter.name, {})
    return named
