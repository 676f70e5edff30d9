"""Arguments of a run that act outside its folder: folders to write to and services to report to."""

from __future__ import annotations

from typing import Any

from ltm_pyro.files.cache_folder import NOWHERE

REPORTING = ("trackers", "project", "run_name")  # arguments of training that say where it is reported
USUAL = {"project": "ltm_pyro"}


def without_reach(values: dict[str, Any]) -> list[str]:
    """Remove the arguments that name folders to write to (`data.cache`, `path` of a memory) or services to report to.

    Each has a default without such effects, and none changes the model's computations.

    Args:
        values: nested arguments, which are changed in place.

    Returns:
        The removed arguments with their values.
    """
    data, train = values.get("data"), values.get("train")
    removed = []
    if isinstance(data, dict) and data.get("cache") not in (None, *NOWHERE):
        removed.append(f"data.cache {data.pop('cache')}")
    if isinstance(train, dict):
        named = [name for name in REPORTING if train.get(name) not in (None, [], USUAL.get(name))]
        removed += [f"train.{name} {train.pop(name)}" for name in named]
    return removed + _without_paths(values.get("guide"), "guide")


def _without_paths(spec: Any, name: str) -> list[str]:
    """Remove `path` from the arguments of a guide and of guides nested in it."""
    arguments = spec.get("init_args", spec) if isinstance(spec, dict) else None
    if not isinstance(arguments, dict):
        return []
    removed = [f"{name}.path {arguments.pop('path')}"] if arguments.get("path") is not None else []
    return [*removed, *(line for key, value in arguments.items() for line in _without_paths(value, f"{name}.{key}"))]
