"""Interactive map of texts, coloured by one of their properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.report import View, inert

if TYPE_CHECKING:
    from plotly.graph_objects import Scatter

Point = Mapping[str, Any]  # `place` (first and second axis), `name`, `about` (properties by name)
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon")
HUES = 6  # colours of a theme; with the symbols 48 categories differ


def map_views(points: Sequence[Point], axes: Sequence[str]) -> list[View]:
    """Map of texts, a view for each property: a colour bar for numbers, colours and symbols for categories.

    Args:
        points: the texts.
        axes: labels of the two axes.
    """
    names = list(dict.fromkeys(name for point in points for name in point["about"]))
    return [_map(points, axes, name) for name in sorted(names, key=lambda name: name != "year")]


def _map(points: Sequence[Point], axes: Sequence[str], name: str) -> View:
    from plotly.graph_objects import Figure

    values = [point["about"].get(name) for point in points]
    known = [value for value in values if value is not None]
    numbers = all(isinstance(value, (int, float)) for value in known)
    figure = Figure(_by_number(points, values, name) if numbers else _by_category(points, values, name))
    figure.update_layout(height=440, xaxis_title_text=axes[0], yaxis_title_text=axes[1])
    if numbers:
        figure.update_layout(coloraxis_colorbar_title_text=name)
        coloured = f"coloured by {name} from {min(known)} to {max(known)}"
    else:
        categories = len(set(known))
        figure.update_layout(height=440 + 11 * categories)  # for the legend, two names a line on a phone
        coloured = f"in {categories} colours and symbols by {name}"
    rows = [["text", *axes, name]]
    for point, value in zip(points, values, strict=True):
        rows.append([point["name"], *(f"{x:.3f}" for x in point["place"]), "unknown" if value is None else str(value)])
    description = f"Scatter plot of {len(points)} texts on the first two principal axes of their thoughts, {coloured}."
    return View(name, figure, description, rows)


def _by_number(points: Sequence[Point], values: Sequence[float | None], name: str) -> list[Scatter]:
    known = [index for index, value in enumerate(values) if value is not None]
    unknown = [index for index, value in enumerate(values) if value is None]
    coloured = {"color": [values[index] for index in known], "coloraxis": "coloraxis"}
    traces = [_scatter(points, known, name, marker=coloured, showlegend=False)]
    if unknown:
        open_circles = {"symbol": "circle-open", "color": "gray"}
        traces.append(_scatter(points, unknown, name, marker=open_circles, name=f"{name} unknown", showlegend=True))
    return traces


def _by_category(points: Sequence[Point], values: Sequence[str | None], name: str) -> list[Scatter]:
    traces = []
    for place, category in enumerate(sorted({value for value in values if value is not None})):
        members = [index for index, value in enumerate(values) if value == category]
        marker = {"symbol": SYMBOLS[place // HUES % len(SYMBOLS)]}  # the colour is the theme's
        traces.append(_scatter(points, members, name, marker=marker, name=inert(category), showlegend=True))
    if unknown := [index for index, value in enumerate(values) if value is None]:
        marker = {"symbol": "circle-open", "color": "gray"}
        traces.append(_scatter(points, unknown, name, marker=marker, name="unknown", showlegend=True))
    return traces


def _scatter(points: Sequence[Point], members: Sequence[int], about: str, **options: Any) -> Scatter:
    from plotly.graph_objects import Scatter

    def label(point: Point) -> str:
        return f"{inert(point['name'])}<br>{about} {inert(str(point['about'].get(about, 'unknown')))}"

    trace = Scatter(
        x=[points[index]["place"][0] for index in members],
        y=[points[index]["place"][1] for index in members],
        customdata=list(members),
        text=[label(points[index]) for index in members],
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        **options,
    )
    return trace.update(marker={"size": 10, "line": {"width": 1, "color": "gray"}})
