"""Checks of arguments that must be objects, with messages for a class, or an object of another kind, given instead."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from ltm_pyro.errors import InputError


def require_instance(argument: str, value: Any, base: type | tuple[type, ...], example: str) -> None:
    """Raise InputError unless an argument's value is an instance of a class.

    Args:
        argument: the argument's name.
        value: its value.
        base: the class, or classes, that the value must be an instance of.
        example: a constructor call, for the message.
    """
    if not isinstance(value, base):
        raise InputError(f"{argument} is {described(value)}: give an instance, {_instance(value, base, example)}")


def require_method(argument: str, value: Any, method: str, example: str) -> None:
    """Raise InputError unless an argument's value is an object, not a class, that has a method.

    Args:
        argument: the argument's name.
        value: its value.
        method: the method that it must have.
        example: a constructor call, for the message.
    """
    fits = hasattr(value, method)
    if isinstance(value, type) and fits and value.__name__ not in example:
        refuse_class(argument, value)
    if isinstance(value, type) or not fits:
        raise InputError(f"{argument} is {described(value)}: give an instance, such as {example}")


def refuse_class(argument: str, value: Any, example: str = "") -> None:
    """Raise InputError if an argument's value is a class; any other object is accepted."""
    if isinstance(value, type):
        raise InputError(f"{argument} is {described(value)}: give an instance, {example or f'{value.__name__}(...)'}")


def require_maker(argument: str, value: Any, example: str) -> None:
    """Raise InputError unless an argument's value is a class or function that makes an object, not the object."""
    if not callable(value) or (hasattr(value, "parameters") and not isinstance(value, type)):
        raise InputError(f"{argument} is {described(value)}: give a function or class that makes one, as {example}")


def checked_shape(z_shape: Any) -> tuple[int, int, int]:
    """The shape (L, K, D) as three ints.

    Raises:
        InputError: for anything that is not three whole numbers.
    """
    sizes = list(z_shape) if isinstance(z_shape, Sequence) and not isinstance(z_shape, str) else []
    if len(sizes) != 3 or not all(isinstance(size, Integral) for size in sizes):
        shown = repr(z_shape) if isinstance(z_shape, (tuple, list, int, float, str)) else described(z_shape)
        raise InputError(f"z_shape is {shown}: expected three whole numbers, (L, K, D), such as decoder.z_shape")
    layers, thoughts, width = (int(size) for size in sizes)
    return layers, thoughts, width


def described(value: Any) -> str:
    """Description of a value by its class, for a message: `the class ELBO`, or `a SlowStep`."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _instance(value: Any, base: type | tuple[type, ...], example: str) -> str:
    """Constructor call of the class that was given, if it derives from `base`; else the example."""
    fits = isinstance(value, type) and issubclass(value, base)
    return f"{value.__name__}(...)" if fits and value.__name__ not in example else f"such as {example}"
