"""The HTML page of an inspection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences, Tokenizer
    from ltm_pyro.evaluation.inspection import Details, Inspection
    from ltm_pyro.evaluation.inspection.dial import StepSweepPoint


def report(name: str, tokenizer: Tokenizer, found: Inspection, sequences: Sequences, details: Details) -> str:
    """An inspection as one HTML file; `name` is that of the run."""
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
        "dial": [_setting(one, details.dial[0]) for one in details.dial],
        "even": 1 / found.kl.shape[1],
        "texts": [_text(tokenizer, one, sequences) for one in details.texts],
        "way": _way(tokenizer, details, sequences),
    }
    headline = verdict(found).replace("**", "")
    title = f"Thoughts of {len(found.ids)} texts: {name}"
    return page(title, headline, found.collapsed, tables(found, details), finite(data))


def _points(tokenizer: Tokenizer, found: Inspection, sequences: Sequences) -> list[dict[str, Any]]:
    near = found.neighbours
    points = []
    for row, (number, place) in enumerate(zip(found.ids, found.places.tolist(), strict=True)):
        tokens = sequences.tokens[sequences.bounds[number] : sequences.bounds[number + 1]]
        text = tokenizer.decode(int(token) for token in tokens)
        others = [["thoughts", near.by_thoughts[row]], ["words", near.by_words[row]]] if near else []
        name = sequences.name(number)
        about = {"order": row, "length": len(tokens), **properties(name)}
        points.append({"place": place, "name": name, "text": text, "near": others, "about": about})
    return points


def properties(name: str) -> dict[str, Any]:
    """Properties of a document of the built-in corpus, by its name: `year` and `president`; none of other documents."""
    match = re.match(r"([A-Za-z][A-Za-z.'-]*?)[_-](1[789]\d\d|20\d\d)\b", name) or re.match(
        r"(?P<year>1[789]\d\d|20\d\d)[_-]([A-Za-z][A-Za-z.'-]*)", name
    )
    if match is None:
        return {}
    year, president = sorted(match.groups())
    return {"year": int(year), "president": president}


def _setting(one: StepSweepPoint, first: StepSweepPoint) -> dict[str, Any]:
    """Both bounds as costs with their errors over texts, and what each costs more than at the first setting, paired."""
    found: dict[str, Any] = {"steps": one.steps, "kl": one.kl_per_token}
    for key, score, start in (
        ("elbo", one.elbo, first.elbo),
        ("iw", one.importance_weighted, first.importance_weighted),
    ):
        found |= {key: score.nats_per_token, f"{key}_error": score.standard_error, f"{key}_change": score.minus(start)}
    return found


def _text(tokenizer: Tokenizer, one: Any, sequences: Sequences) -> dict[str, Any]:
    """A text's tokens with each thought's share of attention and what it tells, rounded for the page."""
    from ltm_pyro.data import token_texts

    attention, told = one.reading.attention.flatten(0, 1), one.reading.told.flatten(0, 1)
    return {
        "name": sequences.name(one.id),
        "tokens": token_texts(tokenizer, one.tokens),
        "attention": [[round(share, 3) for share in row] for row in attention.tolist()],
        "told": [[round(nats, 3) for nats in row] for row in told.tolist()],
        "all": [round(nats, 3) for nats in (one.reading.thoughtless - one.reading.cost).tolist()],
    }


def _way(tokenizer: Tokenizer, details: Details, sequences: Sequences) -> dict[str, Any] | None:
    if details.ends is None or not details.way:
        return None
    stages = [
        {"share": stage.share, "first": stage.first, "second": stage.second, "text": tokenizer.decode(stage.tokens)}
        for stage in details.way
    ]
    return {"ends": [sequences.name(end) for end in details.ends], "stages": stages}
