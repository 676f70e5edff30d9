"""Batches of prompts of equal length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def alike(lengths: Mapping[int, int], batch_size: int) -> Iterator[list[int]]:
    """Batches of indices of prompts of equal length.

    Args:
        lengths: number of tokens of each prompt by its index.
        batch_size: the most prompts of a batch.
    """
    places: dict[int, list[int]] = {}
    for place, length in lengths.items():
        places.setdefault(length, []).append(place)
    for equal in places.values():
        yield from (equal[start : start + batch_size] for start in range(0, len(equal), batch_size))
