"""Contestants timed in turn, so that what else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Seconds = dict[str, list[float]]


def alternate(contestants: Mapping[str, Callable[[], Any]], rounds: int, warmup: int = 1) -> Seconds:
    """Let every contestant run once a round: a, b, c, a, b, c, ...

    Args:
        contestants: by name.
        rounds: that count.
        warmup: rounds before them that do not count.

    Returns:
        By name, the seconds of every round.
    """
    seconds: Seconds = {name: [] for name in contestants}
    for number in range(-warmup, rounds):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if number >= 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds
