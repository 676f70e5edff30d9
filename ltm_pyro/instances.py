"""Arguments that are objects: an instance where a class or another kind of object was given by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from ltm_pyro.errors import InputError


def require_instance(argument: str, value: Any, base: type | tuple[type, ...], example: str) -> None:
    """Raises InputError unless an argument's value is an instance of a class.

    Args:
        argument: its name.
        base: what it must derive from.
        example: how one is made, for the message.
    """
    if not isinstance(value, base):
        raise InputError(f"{argument} is {described(value)}: give an instance, {_instance(value, base, example)}")


def require_method(argument: str, value: Any, method: str, example: str) -> None:
    """Raises InputError unless an argument's value is an object, no class, with a method.

    Args:
        argument: its name.
        method: what the object must have.
        example: how one is made, for the message.
    """
    fits = hasattr(value, method)
    if isinstance(value, type) and fits and value.__name__ not in example:
        refuse_class(argument, value)
    if isinstance(value, type) or not fits:
        raise InputError(f"{argument} is {described(value)}: give an instance, such as {example}")


def refuse_class(argument: str, value: Any, example: str = "") -> None:
    """Raises InputError if an argument's value is a class; any object will do otherwise."""
    if isinstance(value, type):
        raise InputError(f"{argument} is {described(value)}: give an instance, {example or f'{value.__name__}(...)'}")


def require_maker(argument: str, value: Any, example: str) -> None:
    """Raises InputError if an object is given in the place of what makes one, such as its class."""
    if not callable(value) or (hasattr(value, "parameters") and not isinstance(value, type)):
        raise InputError(f"{argument} is {described(value)}: give what makes one, such as {example}")


def checked_shape(z_shape: Any) -> tuple[int, int, int]:
    """(L, K, D) as plain numbers.

    Raises:
        InputError: for anything that is not three whole numbers.
    """
    sizes = list(z_shape) if isinstance(z_shape, Sequence) and not isinstance(z_shape, str) else []
    if len(sizes) != 3 or not all(isinstance(size, Integral) for size in sizes):
        what = repr(z_shape) if isinstance(z_shape, (tuple, list, int, float, str)) else described(z_shape)
        raise InputError(f"z_shape is {what}: expected three whole numbers, (L, K, D), such as decoder.z_shape")
    layers, thoughts, width = (int(size) for size in sizes)
    return layers, thoughts, width


def described(value: Any) -> str:
    """A value by its class, for a message: `the class ELBO`, or `a SlowStep`."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _instance(value: Any, base: type | tuple[type, ...], example: str) -> str:
    """How one of the class that was given is made, if that class fits; else the example."""
    fits = isinstance(value, type) and issubclass(value, base)
    return f"{value.__name__}(...)" if fits and value.__name__ not in example else f"such as {example}"
