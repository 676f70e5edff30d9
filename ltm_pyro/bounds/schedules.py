"""Numbers that change as learning goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ltm_pyro.errors import InputError


class AbstractSchedule(ABC):
    """A number for every slow step."""

    @abstractmethod
    def at(self, step: int) -> float:
        """Its value when `step` slow steps have been taken."""


class LinearSchedule(AbstractSchedule):
    """From one number to another in a straight line, and then the latter (Bowman et al., 2016, arXiv 1511.06349).

    Args:
        start, end: the two numbers.
        steps: slow steps from one to the other.
        delay: slow steps at `start` before.

    Raises:
        InputError: for negative steps.
    """

    def __init__(self, start: float = 0.0, end: float = 1.0, steps: int = 1000, delay: int = 0) -> None:
        if steps < 1 or delay < 0:
            raise InputError(f"steps={steps}, delay={delay}: expected 1 or more, and 0 or more")
        self.start, self.end, self.steps, self.delay = start, end, steps, delay

    def at(self, step: int) -> float:
        progress = min(1.0, max(0.0, (step - self.delay) / self.steps))
        return self.start + progress * (self.end - self.start)

    def __repr__(self) -> str:
        return f"LinearSchedule({self.start} to {self.end} in {self.steps}, delay={self.delay})"


class CyclicalSchedule(AbstractSchedule):
    """Up in a straight line, on at the top, and again from the bottom (Fu et al., 2019, arXiv 1903.10145).

    Args:
        low, high: the two ends.
        period: slow steps of one cycle.
        rise: fraction of a cycle spent on the way up.
        cycles: how many; then it stays at `high`.

    Raises:
        InputError: for a period or number of cycles that is not positive, or a fraction outside 0 to 1.
    """

    def __init__(
        self, low: float = 0.0, high: float = 1.0, period: int = 1000, rise: float = 0.5, cycles: int = 4
    ) -> None:
        if period < 1 or cycles < 1 or not 0 < rise <= 1:
            raise InputError(f"period={period}, cycles={cycles}, rise={rise}: expected 1 or more, and above 0 up to 1")
        self.low, self.high, self.period, self.rise, self.cycles = low, high, period, rise, cycles

    def at(self, step: int) -> float:
        cycle, place = divmod(step, self.period)
        progress = 1.0 if cycle >= self.cycles else min(1.0, place / (self.rise * self.period))
        return self.low + progress * (self.high - self.low)

    def __repr__(self) -> str:
        return f"CyclicalSchedule({self.low} to {self.high}, period={self.period}, cycles={self.cycles})"


def scheduled(number: float | AbstractSchedule, step: int) -> float:
    """The number itself, or its schedule's value."""
    return number.at(step) if isinstance(number, AbstractSchedule) else float(number)
