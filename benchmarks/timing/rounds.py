"""Alternating rounds of timing, so that other load on the machine affects all contestants alike."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Seconds = dict[str, list[float]]


def alternate(
    contestants: Mapping[str, Callable[[], Any]],
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Seconds:
    """Run every contestant once per round, each round starting with the next one: a, b, c, b, c, a, c, ...

    In this way the effects of a contestant on caches and on the allocator reach all others.

    Args:
        contestants: functions by name.
        rounds: number of timed rounds.
        warmup: number of rounds before them that are not timed.
        clock: clock in seconds; `time.process_time` counts the time on a core, summed over threads.

    Returns:
        Seconds of every round, by name.
    """
    seconds: Seconds = {name: [] for name in contestants}
    order = deque(contestants)
    for number in range(-warmup, rounds):
        for name in order:
            began = clock()
            contestants[name]()
            if number >= 0:
                seconds[name].append(clock() - began)
        order.rotate(-1)
    return seconds
