"""Removed arguments of a run: accepted in old configurations at a value without effect, refused otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError

LAST_COMMIT = "bdf98b1"  # the last one in which these arguments existed


class Removed(NamedTuple):
    """A removed argument.

    Attributes:
        neutral: the values without effect; an older `config.yaml` holds one of them.
        finding: the reason for the removal.
        remedy: the alternative.
    """

    neutral: tuple[Any, ...]
    finding: str
    remedy: str


REMOVED = {
    "decoder.gate": Removed(
        (None, False),
        "thoughts behind a learned gate were worth half as much, at a bound that was level",
        "Leave it out; a small decoder.thought_scale also weakens the noise of early thoughts",
    ),
    "decoder.token_dropout": Removed(
        (0, 0.0),
        "token dropout cost 0.07 nats/token",
        "Leave it out; a shorter decoder.window also leaves more to the thoughts",
    ),
    "slow.along": Removed(
        (False,),
        "thoughts were worth half as much where the weights followed the mean gradient along the fast loop",
        "Leave it out, or give --slow.observer GradientAverage, an observer of the fast loop that does the same",
    ),
}


def without_removed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Nested arguments of a run without the removed ones.

    Raises:
        InputError: for a removed argument whose value is not neutral.
    """
    remaining = dict(arguments)
    for name, removed in REMOVED.items():
        group, _, key = name.rpartition(".")
        values = remaining.get(group)
        if isinstance(values, Mapping) and key in values:
            if not any(type(values[key]) is type(value) and values[key] == value for value in removed.neutral):
                raise InputError(_refusal(f"{name}={values[key]}", removed))
            remaining[group] = {option: value for option, value in values.items() if option != key}
    return remaining


def as_now(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments saved by an earlier version, without removed ones that had no effect."""
    try:
        return without_removed(arguments)
    except InputError:
        return dict(arguments)


def refusal_of(name: str) -> str:
    """The refusal of a removed argument; empty for any other name."""
    removed = REMOVED.get(name)
    return "" if removed is None else _refusal(f"--{name}", removed)


def _refusal(argument: str, removed: Removed) -> str:
    return (
        f"{argument}: this argument was removed, since {removed.finding} (docs/thoughts.md; commit {LAST_COMMIT} is "
        f"the last that has it). {removed.remedy}"
    )
