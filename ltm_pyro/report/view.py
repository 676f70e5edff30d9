"""One state of a chart: a Plotly figure with its description, its values as a table, and a note."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class View(NamedTuple):
    """State of a chart.

    Attributes:
        name: name of the state in the control that selects it.
        figure: the chart.
        description: text alternative of the chart, one or two sentences.
        table: the values as rows of cells, the header first.
        note: line below the chart about this state.
        text: text that belongs to this state, such as a generated one.
    """

    name: str
    figure: Figure
    description: str
    table: Sequence[Sequence[str]]
    note: str = ""
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; colours and fonts come from the template of the page."""
        figure = self.figure.to_plotly_json()
        figure["layout"].pop("template", None)
        return {**self._asdict(), "figure": figure}


def inert(text: str, most: int = 40) -> str:
    """Text for a label of a chart, shown as it stands.

    Plotly reads tags such as `<b>` and `<a href>` in labels; here they are escaped, and a long text is cut.

    Args:
        text: any text, for example a name from a corpus.
        most: most characters shown.
    """
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return escape(shown, quote=False)
