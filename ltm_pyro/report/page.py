"""One self-contained HTML page: no request leaves it, and all text in it is text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from ltm_pyro.report.plotly_bundle import plotly_js
from ltm_pyro.report.themes import themes


def page(
    title: str, verdict: str, warning: bool, tables: Sequence[tuple[str, Any, str]], data: Mapping[str, Any]
) -> str:
    """Report of an inspection as HTML, some 5 MB, nearly all of it plotly.js.

    The page's Content-Security-Policy admits three scripts by their SHA-256 and nothing else: no request, no other
    script and no `eval`. Plotly sets styles of its elements, so that styles are free.

    Args:
        title: title of the page.
        verdict: line at the top.
        warning: whether the verdict is a warning.
        tables: tables below the charts, each a heading, rows with the header first, and a note.
        data: values of the interactive parts, JSON: `charts` (views by chart, as `View.to_dict` gives them), `points`
            (name, text, nearest texts), `readings` (tokens and the effect of each thought on them), `even` (1/K).
    """
    parts = files("ltm_pyro.report")

    def read(name: str) -> str:
        return (parts / name).read_text(encoding="utf-8")

    scripts = {"PLOTLY": plotly_js(), "CHARTS": read("charts.js"), "SCRIPT": read("report.js")}
    holes = {
        "POLICY": _policy(scripts.values()),
        "TITLE": escape(title),
        "VERDICT": escape(verdict),
        "MOOD": "bad" if warning else "good",
        "TABLES": "\n".join(_table(*table) for table in tables),
        "STYLE": read("style.css") + read("charts.css"),
        "DATA": _json({"themes": themes(), **data}),
        **scripts,
    }
    pieces = read("shell.html").split("@@")  # every second piece is a hole's name: what fills one is not searched again
    return "".join(holes[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _policy(scripts: Any) -> str:
    """Content-Security-Policy that admits these scripts alone."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    sources = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(data: Any) -> str:
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")  # so that no text ends the script


def _table(heading: str, rows: Sequence[Sequence[str]], note: str) -> str:
    head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    table = (
        f"<div class=wide tabindex=0 role=region aria-label='{escape(heading)}'><table><thead><tr>{head}</tr></thead>"
    )
    return (
        f"<section><h2>{escape(heading)}</h2>{table}<tbody>{body}</tbody></table></div>"
        f"<p class=note>{escape(note)}</p></section>"
    )
