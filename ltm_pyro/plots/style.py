"""Style file of all figures, and their colours, markers and names, distinguishable by colour-blind readers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer

STYLE = str(Path(__file__).with_name("ltm.mplstyle"))  # for matplotlib.pyplot.style.use
MARKERS = ("o", "s", "^", "D", "v", "X", "P", "*")
LINES = ("-", "--", ":", "-.")
LABELS = {
    "lower bound": "",
    "upper bound": " (upper bound of log p)",
    "upper bound as S → ∞": " (upper bound of log p as S → ∞)",
    "estimate, NOT A BOUND": " (estimate, no bound)",
    "NOT A BOUND": " (no bound)",
}
Looks = dict[str, dict[str, Any]]


def in_style() -> AbstractContextManager[None]:
    """Context with matplotlib's defaults and the style file alone; leaving it restores the global state."""
    from matplotlib import style

    return style.context(STYLE, after_reset=True)


@cache
def colours() -> tuple[str, ...]:
    """Colours of the style file, the same in every style that the caller has set."""
    from matplotlib import rc_params_from_file

    cycle = rc_params_from_file(STYLE, use_default_template=False)["axes.prop_cycle"]
    return tuple(cycle.by_key()["color"])


def colour(place: int) -> str:
    """Colour of the style file by its place; the places beyond the last begin again with the first."""
    return colours()[place % len(colours())]


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
    styles: Looks = {}
    for place, (_, members) in enumerate(families.items()):
        for member, name in enumerate(members):
            kind = place + member
            styles[name] = {
                "color": colour(place),
                "marker": MARKERS[kind % len(MARKERS)],
                "linestyle": LINES[(member + place // len(colours())) % len(LINES)],
            }
    return styles


def set_aside(axes: Axes, bars: ErrorbarContainer, place: int, count: int, apart: float = 4.0) -> None:
    """Shift one of several series sideways, so that error bars at the same x do not overlap.

    The artists move by some points (1/72 inch); the data do not change, and any scale of the axis will do.

    Args:
        axes: the Axes of all series.
        bars: the series.
        place: index of the series, from 0.
        count: number of series.
        apart: points between neighbouring series; fewer if the series would span more than 20.
    """
    from matplotlib.transforms import ScaledTranslation

    step = min(apart, 20 / max(1, count - 1))
    aside = ScaledTranslation((place - (count - 1) / 2) * step / 72, 0, axes.figure.dpi_scale_trans)
    for artist in bars.get_children():
        artist.set_transform(axes.transData + aside)
    axes.margins(x=0.06 + 0.012 * count)


def label(name: str, claim: str) -> str:
    """Name with the reservation that its claim implies."""
    return name + LABELS.get(claim, f" ({claim})")


def grouped(records: Iterable[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    """Records by one of their values, in the order of first occurrence."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    return groups
