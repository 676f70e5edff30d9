"""HTML page of an inspection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences, Tokenizer
    from ltm_pyro.evaluation.inspection import Details, Inspection
    from ltm_pyro.report import View


def report(name: str, tokenizer: Tokenizer, found: Inspection, sequences: Sequences, details: Details) -> str:
    """HTML page of an inspection of the run `name`, as one file."""
    from ltm_pyro.evaluation.inspection.markdown import tables, verdict
    from ltm_pyro.files import finite
    from ltm_pyro.report import page

    data = {
        "charts": {
            chart: [view.to_dict() for view in views] for chart, views in _charts(found, details, tokenizer, sequences)
        },
        "points": _points(tokenizer, found, sequences),
        "even": 1 / found.kl.shape[1],
        "readings": [_reading(tokenizer, text, sequences) for text in details.texts],
    }
    headline = verdict(found).replace("**", "")
    title = f"Thoughts of {len(found.ids)} texts: {name}"
    return page(title, headline, found.collapsed, tables(found, details), finite(data))


def _charts(
    found: Inspection, details: Details, tokenizer: Tokenizer, sequences: Sequences
) -> Iterator[tuple[str, list[View]]]:
    """Views of each chart that has data, by the id of the chart in the page."""
    from ltm_pyro.evaluation.inspection.charts import change_view, path_views, sweep_view, thought_views
    from ltm_pyro.evaluation.inspection.map_chart import map_views

    axes = [
        f"{name} axis ({share:.0%} of variance), prior s.d."
        for name, share in zip(("first", "second"), found.shares, strict=True)
    ]
    yield "thoughts", thought_views(found)
    yield "map", map_views(_points(tokenizer, found, sequences), axes)
    if details.dial:
        yield "sweep", [sweep_view(details.dial)]
        yield "change", [change_view(details.dial)]
    if details.ends is not None and details.way:
        first, second = (sequences.name(end) for end in details.ends)
        yield (
            "path",
            path_views(details.way, (first, second), [tokenizer.decode(stage.tokens) for stage in details.way]),
        )


def _points(tokenizer: Tokenizer, inspection: Inspection, sequences: Sequences) -> list[dict[str, Any]]:
    near = inspection.neighbours
    points = []
    for row, (number, place) in enumerate(zip(inspection.ids, inspection.places.tolist(), strict=True)):
        tokens = sequences.tokens[sequences.bounds[number] : sequences.bounds[number + 1]]
        text = tokenizer.decode(int(token) for token in tokens)
        nearest = [["thoughts", near.by_thoughts[row]], ["words", near.by_words[row]]] if near else []
        name = sequences.name(number)
        about = {"order": row, "length": len(tokens), **properties(name)}
        points.append({"place": place, "name": name, "text": text, "near": nearest, "about": about})
    return points


def properties(name: str) -> dict[str, Any]:
    """Properties that the name of a document gives: `year` and `president` in the built-in corpus, else none."""
    match = re.match(r"([A-Za-z][A-Za-z.'-]*?)[_-](1[789]\d\d|20\d\d)\b", name) or re.match(
        r"(?P<year>1[789]\d\d|20\d\d)[_-]([A-Za-z][A-Za-z.'-]*)", name
    )
    if match is None:
        return {}
    year, president = sorted(match.groups())
    return {"year": int(year), "president": president.rstrip("-'.")}


def _reading(tokenizer: Tokenizer, text: Any, sequences: Sequences) -> dict[str, Any]:
    """Tokens of a text with each thought's share of attention and the nats it saves, rounded for the page."""
    from ltm_pyro.data import token_texts

    attention, savings = text.reading.attention.flatten(0, 1), text.reading.told.flatten(0, 1)
    return {
        "name": sequences.name(text.id),
        "tokens": token_texts(tokenizer, text.tokens),
        "attention": [[round(share, 3) for share in row] for row in attention.tolist()],
        "told": [[round(nats, 3) for nats in row] for row in savings.tolist()],
        "all": [round(nats, 3) for nats in (text.reading.thoughtless - text.reading.cost).tolist()],
    }
