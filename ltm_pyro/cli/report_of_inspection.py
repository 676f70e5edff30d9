"""The HTML page of an inspection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences
    from ltm_pyro.evaluation.inspection import Inspection
    from ltm_pyro.training.run import Run


def report(run: Run, found: Inspection, sequences: Sequences) -> str:
    """An inspection as one HTML file."""
    from ltm_pyro.evaluation.cells import finite
    from ltm_pyro.evaluation.inspection.markdown import tables, verdict
    from ltm_pyro.report import page

    thoughts = [
        {"name": f"layer {layer}, thought {thought}", "kl": kl.tolist()}
        for layer, row in enumerate(found.kl, 1)
        for thought, kl in enumerate(row, 1)
    ]
    axes = [
        f"{name} axis, {share:.0%} of variance" for name, share in zip(("first", "second"), found.shares, strict=True)
    ]
    data = {"thoughts": thoughts, "points": _points(run, found, sequences), "axes": axes}
    headline = verdict(found).replace("**", "")
    title = f"Thoughts of {len(found.ids)} texts: {run.folder.name}"
    return page(title, headline, found.collapsed, tables(found), finite(data))


def _points(run: Run, found: Inspection, sequences: Sequences) -> list[dict[str, Any]]:
    near = found.neighbours
    points = []
    for row, (number, place) in enumerate(zip(found.ids, found.places.tolist(), strict=True)):
        tokens = sequences.tokens[sequences.bounds[number] : sequences.bounds[number + 1]]
        text = run.tokenizer.decode(int(token) for token in tokens)
        others = [["thoughts", near.by_thoughts[row]], ["words", near.by_words[row]]] if near else []
        points.append({"place": place, "name": sequences.name(number), "text": text, "near": others})
    return points
