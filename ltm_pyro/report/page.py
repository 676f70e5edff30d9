"""One self-contained HTML page: no request leaves it, and all text in it is text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any


def page(title: str, verdict: str, warning: bool, tables: Sequence[tuple[str, Any, str]], data: Any) -> str:
    """The report of an inspection.

    Args:
        title: of the page.
        verdict: what stands at the top.
        warning: whether that is bad news.
        tables: a heading, rows with the header first, and a note, each.
        data: for the interactive parts: `thoughts` (name, KL of each dimension), `points` (place, name, text, nearest
            texts by thoughts and by words), `axes` (two labels), `dial` (bounds by steps, with their errors and paired
            changes), `texts` (tokens and what each thought does there), `even` (1/K), `way` (two texts' costs).
    """
    parts = files("ltm_pyro.report")
    shell = (parts / "shell.html").read_text(encoding="utf-8")
    holes = {
        "TITLE": escape(title),
        "VERDICT": escape(verdict),
        "MOOD": "bad" if warning else "good",
        "TABLES": "\n".join(_table(*table) for table in tables),
        "STYLE": "".join((parts / name).read_text(encoding="utf-8") for name in ("style.css", "chart.css")),
        "SCRIPT": "".join((parts / name).read_text(encoding="utf-8") for name in ("chart.js", "script.js")),
        "DATA": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),  # so that no text ends the script
    }
    pieces = shell.split("@@")  # every second piece is a hole's name: what fills one is not searched again
    return "".join(holes[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _table(heading: str, rows: Sequence[Sequence[str]], note: str) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    table = f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    return f"<section><h2>{escape(heading)}</h2>{table}<p class=note>{escape(note)}</p></section>"
