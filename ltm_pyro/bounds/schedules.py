"""Schedules of weights and capacities over the slow steps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.instances import require_instance
from ltm_pyro.ranges import FINITE, SHARE, SHARE_ABOVE_ZERO, SHARE_BELOW_ONE, bounded, whole
from ltm_pyro.recorded import Recorded


class AbstractSchedule(Recorded, ABC):
    """Schedule: a number for every slow step."""

    @abstractmethod
    def at(self, step: int) -> float:
        """The value after `step` slow steps."""

    def spread_over(self, steps: int | None) -> None:
        """Hook called with the number of slow steps of the run, or None if unknown: for schedules by shares of it."""
        return

    def duration(self) -> int:
        """Number of slow steps until the last change; 0 if unknown."""
        return 0

    def lowest(self) -> float:
        """Lower bound on all values; by default the first value."""
        return self.at(0)


class LinearSchedule(AbstractSchedule):
    """Linear ramp from one number to another, and constant after it (Bowman et al., 2016, arXiv 1511.06349).

    Delay and length are given in slow steps, or in shares of the run, which scale with its length.

    Args:
        start, end: the two numbers.
        steps: slow steps of the ramp; 1000 if no length is given.
        delay: slow steps at `start` before the ramp; 0 by default.
        begin: share of the run at `start` before the ramp, from 0 to 1, instead of `delay`; 0 by default.
        over: share of the run that the ramp takes, above 0 up to 1, instead of `steps`.

    Raises:
        InputError: for numbers out of range, both slow steps and shares, or shares that add up to more than 1.

    Example:
        >>> schedule = LinearSchedule(0.0, 1.0, begin=0.25, over=0.5)
        >>> schedule.spread_over(1000)
        >>> [schedule.at(step) for step in (0, 250, 500, 750, 1000)]
        [0.0, 0.0, 0.5, 1.0, 1.0]
    """

    @bounded(start=FINITE, end=FINITE, steps=whole(1), delay=whole(0), begin=SHARE_BELOW_ONE, over=SHARE_ABOVE_ZERO)
    def __init__(
        self,
        start: float = 0.0,
        end: float = 1.0,
        steps: int | None = None,
        delay: int | None = None,
        begin: float | None = None,
        over: float | None = None,
    ) -> None:
        _refuse_non_finite(start=start, end=end)
        self.start, self.end, self.begin, self.over = start, end, begin, over
        self.by_share = begin is not None or over is not None
        if self.by_share:
            _refuse_shares(steps, delay, begin, over)
        self.steps, self.delay = 1000 if steps is None else steps, 0 if delay is None else delay
        if not 1 <= self.steps < math.inf or not 0 <= self.delay < math.inf:
            raise InputError(f"steps={steps}, delay={delay}: expected 1 or more, and 0 or more")
        self._placed = not self.by_share

    def duration(self) -> int:
        return self.delay + self.steps

    def spread_over(self, steps: int | None) -> None:
        if not self.by_share:
            return
        if steps is None:
            raise InputError(f"{self!r} needs the length of the run: give SlowStep(steps=...)")
        assert self.over is not None
        self.delay, self.steps = round((self.begin or 0.0) * steps), max(1, round(self.over * steps))
        self._placed = True

    def at(self, step: int) -> float:
        if not self._placed and step:
            raise InputError(f"{self!r} needs the length of the run: `spread_over` tells it")
        progress = min(1.0, max(0.0, (step - self.delay) / self.steps))
        return self.start + progress * (self.end - self.start)

    def lowest(self) -> float:
        return min(self.start, self.end)

    def __repr__(self) -> str:
        if self.by_share:
            return f"LinearSchedule({self.start} to {self.end}, begin={self.begin or 0.0}, over={self.over})"
        return f"LinearSchedule({self.start} to {self.end} in {self.steps}, delay={self.delay})"


class CyclicalSchedule(AbstractSchedule):
    """Cyclical ramps: in each cycle a rest, a linear rise, then a constant (Fu et al., 2019, arXiv 1903.10145).

    Args:
        low, high: the two ends.
        period: slow steps of one cycle; 1000 if `over` is not given either.
        rise: fraction of a cycle that the rise takes.
        cycles: number of cycles, after which the value stays at `high`.
        over: share of the run that all cycles take, above 0 up to 1, instead of `period`.
        rest: fraction of a cycle before the rise, at `low`; with the rise at most 1.

    Raises:
        InputError: for a period or number of cycles that is not positive, a fraction outside 0 to 1, or both `period`
            and `over`.
    """

    @bounded(
        low=FINITE,
        high=FINITE,
        period=whole(1),
        rise=SHARE_ABOVE_ZERO,
        cycles=whole(1),
        over=SHARE_ABOVE_ZERO,
        rest=SHARE,
    )
    def __init__(
        self,
        low: float = 0.0,
        high: float = 1.0,
        period: int | None = None,
        rise: float = 0.5,
        cycles: int = 4,
        over: float | None = None,
        rest: float = 0.0,
    ) -> None:
        _refuse_non_finite(low=low, high=high)
        if over is not None and (period is not None or not 0 < over <= 1):
            raise InputError(f"period={period}, over={over}: expected one of them, the latter above 0 up to 1")
        self.low, self.high, self.rise, self.cycles, self.over, self.rest = low, high, rise, cycles, over, rest
        self.period = 1000 if period is None else period
        if not 1 <= self.period < math.inf or not 1 <= cycles < math.inf or not 0 < rise <= 1:
            raise InputError(f"period={period}, cycles={cycles}, rise={rise}: expected 1 or more, and above 0 up to 1")
        if not 0 <= rest <= 1 - rise + 1e-9:
            raise InputError(f"rest={rest}, rise={rise}: expected fractions of a cycle whose sum is at most 1")
        self._placed = over is None

    def duration(self) -> int:
        return math.ceil(self.period * (self.cycles - 1 + self.rest + self.rise))

    def spread_over(self, steps: int | None) -> None:
        if self.over is None:
            return
        if steps is None:
            raise InputError(f"{self!r} needs the length of the run: give SlowStep(steps=...)")
        self.period = max(1, round(self.over * steps / self.cycles))
        self._placed = True

    def at(self, step: int) -> float:
        if not self._placed and step:
            raise InputError(f"{self!r} needs the length of the run: `spread_over` tells it")
        cycle, position = divmod(step, self.period)
        risen = max(0.0, position - self.rest * self.period)
        progress = 1.0 if cycle >= self.cycles else min(1.0, risen / (self.rise * self.period))
        return self.low + progress * (self.high - self.low)

    def lowest(self) -> float:
        return min(self.low, self.high)

    def __repr__(self) -> str:
        length = f"period={self.period}" if self.over is None else f"over={self.over}"
        return f"CyclicalSchedule({self.low} to {self.high}, {length}, cycles={self.cycles})"


def scheduled(number: float | AbstractSchedule, step: int) -> float:
    """Value of a number or schedule after `step` slow steps.

    Raises:
        InputError: for any other type.
    """
    if isinstance(number, AbstractSchedule):
        return number.at(step)
    return _number(number)


def scheduled_from_zero(name: str, number: float | AbstractSchedule, step: int, unit: str = "") -> float:
    """Value of `scheduled`, which must be 0 or more and finite, as must be the lowest of a schedule.

    Args:
        name: of the number, for the message.
        number, step: as for `scheduled`.
        unit: of the number, for the message.

    Raises:
        InputError: for another value, now or at some step; a user's schedule may leave the range later.
    """
    value = scheduled(number, step)
    if not (0 <= lowest_of(number) < math.inf and 0 <= value < math.inf):
        raise InputError(f"{name}={number}: expected 0 or more{unit and f' {unit}'}")
    return value


def lowest_of(number: float | AbstractSchedule) -> float:
    """Lower bound on a number or schedule."""
    return number.lowest() if isinstance(number, AbstractSchedule) else _number(number)


def _number(number: Any) -> float:
    require_instance("a weight or a capacity", number, (float, int), "1.0 or LinearSchedule()")
    return float(number)


def _refuse_non_finite(**numbers: float) -> None:
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise InputError(f"{name}={number}: expected a finite number")


def _refuse_shares(steps: int | None, delay: int | None, begin: float | None, over: float | None) -> None:
    if steps is not None or delay is not None:
        raise InputError(
            f"steps={steps}, delay={delay}, begin={begin}, over={over}: expected either slow steps (steps, delay) "
            "or shares of the run (begin, over), the others null"
        )
    if over is None or not 0 < over <= 1 or not 0 <= (begin or 0.0) < 1 or (begin or 0.0) + over > 1 + 1e-9:
        raise InputError(
            f"begin={begin}, over={over}: expected shares of the run, from 0 and above 0, whose sum is at most 1"
        )
