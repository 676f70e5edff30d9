"""Contestants timed in turn, so that what else the machine does meets all of them."""

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
    """Let every contestant run once a round, each round beginning with another: a, b, c, b, c, a, c, ...

    What one leaves behind in caches and in the allocator then meets all that come after it.

    Args:
        contestants: by name.
        rounds: that count.
        warmup: rounds before them that do not count.
        clock: tells seconds; `time.process_time` counts those that this process has a core, threads added up.

    Returns:
        By name, the seconds of every round.
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
