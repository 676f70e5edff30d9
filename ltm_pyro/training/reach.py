"""The reach of a run's arguments: whatever they would have done beyond its folder and the text it names."""

from __future__ import annotations

from typing import Any

from ltm_pyro.data.cache import NOWHERE


def without_reach(values: dict[str, Any]) -> list[str]:
    """Take out what names folders to write to (`data.cache`, `path` of a memory) and services to report to.

    Each has a default that needs nothing of the kind, and none changes what a model computes.

    Args:
        values: nested arguments, which are changed.

    Returns:
        What was taken out, as arguments with their values.
    """
    data, train = values.get("data"), values.get("train")
    taken = []
    if isinstance(data, dict) and data.get("cache") not in (None, *NOWHERE):
        taken.append(f"data.cache {data.pop('cache')}")
    if isinstance(train, dict) and train.get("trackers"):
        taken.append(f"train.trackers {train.pop('trackers')}")
    return taken + _without_paths(values.get("guide"), "guide")


def _without_paths(spec: Any, name: str) -> list[str]:
    """Take `path` out of the arguments of a guide and of those within it."""
    given = spec.get("init_args", spec) if isinstance(spec, dict) else None
    if not isinstance(given, dict):
        return []
    taken = [f"{name}.path {given.pop('path')}"] if given.get("path") is not None else []
    return [*taken, *(line for key, value in given.items() for line in _without_paths(value, f"{name}.{key}"))]
