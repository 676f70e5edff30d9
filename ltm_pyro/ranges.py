"""Ranges of numeric arguments, declared at a constructor or in a function's annotations and checked at each call."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from numbers import Real
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar, get_type_hints

from ltm_pyro.errors import InputError

LARGEST = 2**31 - 1  # of any size or count: the largest 32-bit integer
Constructor = TypeVar("Constructor", bound=Callable[..., None])
Function = TypeVar("Function", bound=Callable[..., Any])


class Range(NamedTuple):
    """An interval of numbers. It never holds NaN, and infinity only where a closed end is infinite.

    Attributes:
        least, most: the ends.
        without_least, without_most: True if that end is open.
    """

    least: float
    most: float
    without_least: bool = False
    without_most: bool = False

    def holds(self, number: float) -> bool:
        """True if a number is in the range."""
        above = number > self.least if self.without_least else number >= self.least
        below = number < self.most if self.without_most else number <= self.most
        return above and below

    def missed(self, number: float) -> str:
        """Text of the expectation that a number fails: for a range of counts the end it is beyond, else the range."""
        if self == POSITIVE:
            return "a positive number"
        if self.most == math.inf or self.without_least or self.without_most:
            return str(self)
        return f"{self.least:g} or more" if number < self.least else f"{self.most:.15g} or less"

    def __str__(self) -> str:
        if self.most >= LARGEST and self.most < math.inf:
            return f"{self.least:g} or more, up to {self.most:.15g}"
        least = "" if self.least == -math.inf else f"{'above' if self.without_least else 'from'} {self.least:g}"
        most = "" if self.most == math.inf else f"{'below' if self.without_most else 'up to'} {self.most:.15g}"
        return " ".join(part for part in (least, most) if part) or "a finite number"


def whole(least: int) -> Range:
    """Range of a size or count: whole numbers from `least`."""
    return Range(least, LARGEST)


FINITE = Range(-math.inf, math.inf, True, True)
POSITIVE = Range(0, math.inf, True, True)
NOT_NEGATIVE = Range(0, math.inf, False, True)
SHARE = Range(0, 1)
SHARE_BELOW_ONE = Range(0, 1, False, True)
SHARE_ABOVE_ZERO = Range(0, 1, True)
SEED = Range(0, 2**32 - 1)  # the seeds that NumPy's generator takes


def bounded(**ranges: Range) -> Callable[[Constructor], Constructor]:
    """Decorator that gives a constructor the ranges of its arguments; None, and values that are no numbers, pass.

    The constructor's own errors come first, since they can state more of the reason. Numbers that it could not work
    with at all (NaN, infinities, sizes beyond all memory) are refused before it is called.

    Args:
        ranges: by argument name; for a tuple or a list, the range of each number in it.
    """

    def decorate(constructor: Constructor) -> Constructor:
        signature = inspect.signature(constructor)

        @wraps(constructor)
        def construct(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                given = signature.bind(self, *args, **kwargs).arguments
            except TypeError:
                constructor(self, *args, **kwargs)  # its TypeError names the missing argument
                return
            refuse_outside(given, ranges, hopeless=True)
            try:
                constructor(self, *args, **kwargs)
            except InputError:
                raise
            except Exception:
                refuse_outside(given, ranges)
                raise
            refuse_outside(given, ranges)

        construct.ranges = ranges  # type: ignore[attr-defined]
        return construct  # type: ignore[return-value]

    return decorate


def refuse_outside(
    given: Mapping[str, Any], ranges: Mapping[str, Range], prefix: str = "", hopeless: bool = False
) -> None:
    """Raise InputError for the first of the given numbers that is outside its range.

    Args:
        given: arguments by name.
        ranges: their ranges, by name.
        prefix: before the name in the message.
        hopeless: refuse only numbers that are not finite, or beyond every size.
    """
    for name, limits in ranges.items():
        for number in _numbers(given.get(name)):
            if not (_unending(limits) if hopeless else limits).holds(number):
                raise InputError(f"{prefix}{name}={given[name]}: expected {limits}")


def in_range(function: Function) -> Function:
    """Decorator for a function whose annotations state ranges: `draws: Annotated[int, whole(1)] = 16`.

    Raises:
        InputError: at a call with a number outside its range, before the function runs.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        refuse_outside(signature.bind(*args, **kwargs).arguments, ranges_of(function))
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def ranges_of(function: Callable[..., Any]) -> dict[str, Range]:
    """The ranges that a function's annotations state, by argument."""
    metadata = ((name, item) for name, hint in hints_of(function).items() for item in getattr(hint, "__metadata__", ()))
    return {name: item for name, item in metadata if isinstance(item, Range)}


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each argument, without the return annotation, which may exist for type checkers alone."""
    function = inspect.unwrap(function)
    arguments = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    holder = SimpleNamespace(__annotations__=arguments)
    return get_type_hints(holder, function.__globals__, include_extras=True)


def outside(given: Mapping[str, Any], ranges: Mapping[str, Range]) -> Iterator[tuple[str, Any, Range]]:
    """Each of the given numbers that is outside its range, with its argument and the range."""
    for name, limits in ranges.items():
        yield from ((name, number, limits) for number in _numbers(given.get(name)) if not limits.holds(number))


def _numbers(value: Any) -> Iterable[Any]:
    values = value if isinstance(value, tuple | list) else (value,)
    return [number for number in values if isinstance(number, Real) and not isinstance(number, bool)]


def _unending(limits: Range) -> Range:
    """The wider range whose refusals precede the call: finite numbers, and for a size those up to its largest."""
    return Range(-math.inf, limits.most, True, limits.without_most) if limits.most > 1 else FINITE
