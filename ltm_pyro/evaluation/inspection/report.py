"""HTML page of an inspection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences, Tokenizer
    from ltm_pyro.evaluation.inspection import Details, Inspection
    from ltm_pyro.evaluation.inspection.dial import StepSweepPoint


def report(name: str, tokenizer: Tokenizer, found: Inspection, sequences: Sequences, details: Details) -> str:
    """HTML page of an inspection of the run `name`, as one file."""
    from ltm_pyro.evaluation.inspection.markdown import tables, verdict
    from ltm_pyro.files import finite
    from ltm_pyro.report import page

    thoughts = [
        {"name": f"layer {layer}, thought {thought}", "kl": kl.tolist()}
        for layer, row in enumerate(found.kl, 1)
        for thought, kl in enumerate(row, 1)
    ]
    axes = [
        f"{name} axis ({share:.0%} of variance), prior s.d."
        for name, share in zip(("first", "second"), found.shares, strict=True)
    ]
    data = {
        "thoughts": thoughts,
        "points": _points(tokenizer, found, sequences),
        "axes": axes,
        "dial": [_setting(point, details.dial[0]) for point in details.dial],
        "even": 1 / found.kl.shape[1],
        "texts": [_text(tokenizer, text, sequences) for text in details.texts],
        "way": _way(tokenizer, details, sequences),
    }
    headline = verdict(found).replace("**", "")
    title = f"Thoughts of {len(found.ids)} texts: {name}"
    return page(title, headline, found.collapsed, tables(found, details), finite(data))


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
    return {"year": int(year), "president": president}


def _setting(point: StepSweepPoint, first: StepSweepPoint) -> dict[str, Any]:
    """Both bounds as costs with their errors over texts, and their paired differences to the first setting."""
    setting: dict[str, Any] = {"steps": point.steps, "kl": point.kl_per_token}
    for key, score, start in (
        ("elbo", point.elbo, first.elbo),
        ("iw", point.importance_weighted, first.importance_weighted),
    ):
        setting |= {
            key: score.nats_per_token,
            f"{key}_error": score.standard_error,
            f"{key}_change": score.minus(start),
        }
    return setting


def _text(tokenizer: Tokenizer, text: Any, sequences: Sequences) -> dict[str, Any]:
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


def _way(tokenizer: Tokenizer, details: Details, sequences: Sequences) -> dict[str, Any] | None:
    if details.ends is None or not details.way:
        return None
    stages = [
        {"share": stage.share, "first": stage.first, "second": stage.second, "text": tokenizer.decode(stage.tokens)}
        for stage in details.way
    ]
    return {"ends": [sequences.name(end) for end in details.ends], "stages": stages}
