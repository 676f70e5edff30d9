"""Numbers that change as learning goes on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.instances import require_instance
from ltm_pyro.ranges import FINITE, SHARE_ABOVE_ZERO, SHARE_BELOW_ONE, bounded, whole
from ltm_pyro.recorded import Recorded


class AbstractSchedule(Recorded, ABC):
    """A number for every slow step."""

    @abstractmethod
    def at(self, step: int) -> float:
        """Its value when `step` slow steps have been taken."""

    def spread_over(self, steps: int | None) -> None:
        """Told how many slow steps the run has, or None if that is not known: for schedules by shares of the run."""
        return

    def duration(self) -> int:
        """Slow steps until it changes no more; 0 where that is not known."""
        return 0

    def lowest(self) -> float:
        """A value that it never falls below; by default the first one, which later ones are then compared with."""
        return self.at(0)


class LinearSchedule(AbstractSchedule):
    """From one number to another in a straight line, and then the latter (Bowman et al., 2016, arXiv 1511.06349).

    Its place is given in slow steps, or in shares of the run, which a longer or shorter run stretches or shrinks.

    Args:
        start, end: the two numbers.
        steps: slow steps from one to the other; 1000 if no place is given at all.
        delay: slow steps at `start` before; 0 if left out.
        begin: the share of the run at `start` before, from 0 to 1, in the place of `delay`; 0 if left out.
        over: the share of the run from one to the other, above 0 up to 1, in the place of `steps`.

    Raises:
        InputError: for numbers out of range, a place given both ways, or shares that leave the run.

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
    """Up in a straight line, on at the top, and again from the bottom (Fu et al., 2019, arXiv 1903.10145).

    Args:
        low, high: the two ends.
        period: slow steps of one cycle; 1000 if `over` is left out too.
        rise: fraction of a cycle spent on the way up.
        cycles: how many; then it stays at `high`.
        over: the share of the run that all cycles take, above 0 up to 1, in the place of `period`.

    Raises:
        InputError: for a period or number of cycles that is not positive, a fraction outside 0 to 1, or both `period`
            and `over`.
    """

    @bounded(low=FINITE, high=FINITE, period=whole(1), rise=SHARE_ABOVE_ZERO, cycles=whole(1), over=SHARE_ABOVE_ZERO)
    def __init__(
        self,
        low: float = 0.0,
        high: float = 1.0,
        period: int | None = None,
        rise: float = 0.5,
        cycles: int = 4,
        over: float | None = None,
    ) -> None:
        _refuse_non_finite(low=low, high=high)
        if over is not None and (period is not None or not 0 < over <= 1):
            raise InputError(f"period={period}, over={over}: expected one of them, the latter above 0 up to 1")
        self.low, self.high, self.rise, self.cycles, self.over = low, high, rise, cycles, over
        self.period = 1000 if period is None else period
        if not 1 <= self.period < math.inf or not 1 <= cycles < math.inf or not 0 < rise <= 1:
            raise InputError(f"period={period}, cycles={cycles}, rise={rise}: expected 1 or more, and above 0 up to 1")
        self._placed = over is None

    def duration(self) -> int:
        return math.ceil(self.period * (self.cycles - 1 + self.rise))

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
        cycle, place = divmod(step, self.period)
        progress = 1.0 if cycle >= self.cycles else min(1.0, place / (self.rise * self.period))
        return self.low + progress * (self.high - self.low)

    def lowest(self) -> float:
        return min(self.low, self.high)

    def __repr__(self) -> str:
        length = f"period={self.period}" if self.over is None else f"over={self.over}"
        return f"CyclicalSchedule({self.low} to {self.high}, {length}, cycles={self.cycles})"


def scheduled(number: float | AbstractSchedule, step: int) -> float:
    """The number itself, or its schedule's value.

    Raises:
        InputError: for what is neither.
    """
    if isinstance(number, AbstractSchedule):
        return number.at(step)
    return _number(number)


def lowest_of(number: float | AbstractSchedule) -> float:
    """The number itself, or what its schedule never falls below."""
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
            f"steps={steps}, delay={delay}, begin={begin}, over={over}: give its place in slow steps (steps, delay) or "
            "in shares of the run (begin, over), the others null"
        )
    if over is None or not 0 < over <= 1 or not 0 <= (begin or 0.0) < 1 or (begin or 0.0) + over > 1 + 1e-9:
        raise InputError(
            f"begin={begin}, over={over}: expected shares of the run, from 0 and above 0, that are together at most 1"
        )
