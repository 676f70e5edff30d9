"""Text of plotly.js, from the Python package plotly."""

from __future__ import annotations

from functools import cache


@cache
def plotly_js() -> str:
    """Minified source of plotly.js, some 4.8 MB; it loads nothing from elsewhere and needs no `eval` for our charts.

    The package holds it for work without a network, so that its version is pinned with the package and no copy of it
    stands in this repository.
    """
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
