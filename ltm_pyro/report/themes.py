"""Templates of all interactive charts: the colours of a light and of a dark page, fonts, axes and legends."""

from __future__ import annotations

from typing import Any

COLOURS = {  # Okabe and Ito, the first two as in the tints of tokens (charts.js)
    "light": ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D1F", "#1b1b1b"),
    "dark": ("#56B4E9", "#E69F00", "#3fc69a", "#CC79A7", "#D9C27A", "#eeeeee"),
}
INKS = {"light": ("#1b1b1b", "#5a5a5a", "#dddddd", "#ffffff"), "dark": ("#eeeeee", "#aaaaaa", "#3a3d42", "#16181b")}
SEQUENTIAL = {  # Viridis without the end that is hard to see on the page, even in lightness for colour-blind readers
    "light": ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#c2df23"),
    "dark": ("#4f68b0", "#2f8fb0", "#22a884", "#44bf70", "#7ad151", "#fde725"),
}


def themes() -> dict[str, dict[str, Any]]:
    """Plotly templates `light` and `dark`, as plain JSON values."""
    return {name: {"layout": _layout(name)} for name in COLOURS}


def _layout(name: str) -> dict[str, Any]:
    ink, soft, line, paper = INKS[name]
    axis = {
        "automargin": True,
        "gridcolor": line,
        "linecolor": soft,
        "showline": True,
        "tickcolor": soft,
        "ticks": "outside",
        "title": {"standoff": 8},
        "zeroline": False,
        "fixedrange": True,  # a finger that scrolls the page does not zoom
    }
    return {
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": ink},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(COLOURS[name]),
        "coloraxis": {"colorscale": _even(SEQUENTIAL[name]), "colorbar": {"outlinewidth": 0, "thickness": 14}},
        "xaxis": axis,
        "yaxis": axis,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        "hoverlabel": {"bgcolor": paper, "bordercolor": soft, "font": {"color": ink}, "align": "left"},
        "margin": {"l": 8, "r": 20, "t": 8, "b": 8},
        "dragmode": False,
    }


def _even(colours: tuple[str, ...]) -> list[list[float | str]]:
    """Colour scale of Plotly with the colours at equal distances from 0 to 1."""
    return [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)]
