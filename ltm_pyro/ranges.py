"""Ranges of numeric arguments: declared at a constructor or in a function's annotations, checked at a call."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from numbers import Real
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar, get_type_hints

from ltm_pyro.errors import InputError

LARGEST = 2**31 - 1  # of any size or count: what 32 bits hold, and nobody has asked for more
Constructor = TypeVar("Constructor", bound=Callable[..., None])
Function = TypeVar("Function", bound=Callable[..., Any])


class Range(NamedTuple):
    """An interval of numbers; never NaN, and infinite only where it says so.

    Attributes:
        least, most: its ends.
        without_least, without_most: whether an end itself is left out.
    """

    least: float
    most: float
    without_least: bool = False
    without_most: bool = False

    def holds(self, number: float) -> bool:
        """Whether a number is in it."""
        above = number > self.least if self.without_least else number >= self.least
        below = number < self.most if self.without_most else number <= self.most
        return above and below

    def missed(self, number: float) -> str:
        """The expectation that a number missed: of a range of counts the end that it is beyond, else the range."""
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
    """Sizes and counts."""
    return Range(least, LARGEST)


FINITE = Range(-math.inf, math.inf, True, True)
POSITIVE = Range(0, math.inf, True, True)
NOT_NEGATIVE = Range(0, math.inf, False, True)
SHARE = Range(0, 1)
SHARE_BELOW_ONE = Range(0, 1, False, True)
SHARE_ABOVE_ZERO = Range(0, 1, True)
SEED = Range(0, 2**32 - 1)  # what NumPy's generator takes


def bounded(**ranges: Range) -> Callable[[Constructor], Constructor]:
    """Decorates a constructor with the ranges of its arguments; None, and what is no number, passes.

    A constructor's own refusals come first, since they know more of the reason; numbers that no arithmetic survives
    (NaN, infinities, sizes beyond all memory) are refused before it begins.

    Args:
        ranges: by name of the argument; of a tuple or a list, each number's.
    """

    def decorate(constructor: Constructor) -> Constructor:
        signature = inspect.signature(constructor)

        @wraps(constructor)
        def construct(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                given = signature.bind(self, *args, **kwargs).arguments
            except TypeError:
                constructor(self, *args, **kwargs)  # which says what is missing
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
    """Raises InputError for the first of the given numbers that is outside its range.

    Args:
        given, ranges: by name.
        prefix: before the name.
        hopeless: refuse only what is not finite, or beyond every size.
    """
    for name, limits in ranges.items():
        for number in _numbers(given.get(name)):
            if not (_unending(limits) if hopeless else limits).holds(number):
                raise InputError(f"{prefix}{name}={given[name]}: expected {limits}")


def in_range(function: Function) -> Function:
    """Decorates a function whose annotations state ranges: `draws: Annotated[int, whole(1)] = 16`.

    Raises:
        InputError: when it is called with a number outside its range, before anything else.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        refuse_outside(signature.bind(*args, **kwargs).arguments, ranges_of(function))
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def ranges_of(function: Callable[..., Any]) -> dict[str, Range]:
    """The ranges that a function's annotations state, by argument."""
    stated = ((name, one) for name, hint in hints_of(function).items() for one in getattr(hint, "__metadata__", ()))
    return {name: one for name, one in stated if isinstance(one, Range)}


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each argument; what is returned may be a name for type checkers alone."""
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
    """The part of a range's refusals that cannot wait."""
    return Range(-math.inf, limits.most, True, limits.without_most) if limits.most > 1 else FINITE
