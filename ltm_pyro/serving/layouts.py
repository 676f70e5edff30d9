"""Plotly layouts of the demo page's charts; the page adds the values as they arrive."""

from __future__ import annotations

from typing import Any


def layouts() -> dict[str, dict[str, Any]]:
    """Layouts by chart, as plain JSON values: `fitting` (cost by fast step) and `thoughts` (KL by thought)."""
    from plotly.graph_objects import Layout

    fitting = Layout(
        xaxis={"title": {"text": "fast step"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "−ELBO, nats/token"}},
    )
    thoughts = Layout(
        xaxis={"title": {"text": "thought, by layer"}, "type": "multicategory"},
        yaxis={"title": {"text": "KL(q ‖ p), nats/text"}, "rangemode": "tozero"},
        bargap=0.16,
    )
    return {"fitting": fitting.to_plotly_json(), "thoughts": thoughts.to_plotly_json()}
