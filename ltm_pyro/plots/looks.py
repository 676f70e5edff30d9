"""Colours, markers and names that are the same in all figures, and told apart by colour-blind readers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F")  # Okabe and Ito
MARKERS = ("o", "s", "^", "D", "v", "X", "P", "*")
LINES = ("-", "--", ":", "-.")
LABELS = {
    "lower bound": "",
    "upper bound": " (upper bound)",
    "upper bound as S → ∞": " (upper as S → ∞)",
    "estimate, NOT A BOUND": " (estimate, no bound)",
    "NOT A BOUND": " (no bound)",
}


Looks = dict[str, dict[str, Any]]


def looks(names: Iterable[tuple[str, str]]) -> Looks:
    """Keyword arguments of `Axes.plot` by name: a colour for each family, marker and line for each of its members.

    Args:
        names: (family, name) pairs, such as a bound and an estimator, in order.
    """
    families: dict[str, list[str]] = {}
    for family, name in names:
        members = families.setdefault(family, [])
        if name not in members:
            members.append(name)
    found: Looks = {}
    for place, (_, members) in enumerate(families.items()):
        for member, name in enumerate(members):
            kind = place + member
            found[name] = {
                "color": COLOURS[place % len(COLOURS)],
                "marker": MARKERS[kind % len(MARKERS)],
                "linestyle": LINES[(member + place // len(COLOURS)) % len(LINES)],
                "markersize": 4.5,
                "linewidth": 1.3,
            }
    return found


def label(name: str, claim: str) -> str:
    """A name with what its claim takes away."""
    return name + LABELS.get(claim, f" ({claim})")


def grouped(records: Iterable[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    """Records by one of their values, in the order of first occurrence."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    return groups
