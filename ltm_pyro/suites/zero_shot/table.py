"""Table of zero-shot perplexities, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ltm_pyro.evaluation.evaluator import Evaluation
from ltm_pyro.tables import aligned, number, with_error

COLUMNS = {
    "exact": "exact",
    "diffusion": "diffusion ELBO",
    "elbo": "ELBO",
    "importance_weighted": "importance-weighted",
    "predictive": "predictive",
    "prior": "prior",
}
TIGHTEST = ("exact", "importance_weighted", "diffusion", "elbo")


def records_of(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Records of all scores on a set."""
    lost = {"lost": evaluation.lost} if evaluation.lost else {}
    return [{"number": name, **score.to_dict(), **lost} for name, score in evaluation.scores.items()]


def table(found: Mapping[str, list[dict[str, Any]]], missing: Mapping[str, str]) -> str:
    """Table with a row for each set: perplexities, bits per byte of the tightest bound, and number of tokens.

    Args:
        found: records by the set's title, from `records_of`.
        missing: reason and remedy by title of each missing set.
    """
    names = [
        name for name in COLUMNS if any(record["number"] == name for records in found.values() for record in records)
    ]
    header = ["perplexity", *(COLUMNS[name] for name in names), "bits/byte", "tokens"]
    rows = [_row(title, {record["number"]: record for record in group}, names) for title, group in found.items()]
    rows += [[title, "missing", *[""] * (len(header) - 2)] for title in missing]
    notes = [
        "Perplexity exp(Σ nats / Σ tokens), ± one standard error over sequences; predictive: of the second half of "
        "each sequence, given the first. Bits per byte: of the tightest bound. Tokenizers differ between models: "
        "compare bits per byte. All numbers are of the text after the set's de-tokenisation.",
        *(f"{title}: {group[0]['lost']}" for title, group in found.items() if group[0].get("lost")),
        *(f"{title} is missing: {reason}" for title, reason in missing.items()),
    ]
    return "\n".join([*aligned([header, *rows]), "", *notes])


def _row(title: str, scores: Mapping[str, dict[str, Any]], names: list[str]) -> list[str]:
    cells = [
        with_error(scores[name]["perplexity"], scores[name]["perplexity_error"], 2) if name in scores else "–"
        for name in names
    ]
    best = next(scores[name] for name in TIGHTEST if name in scores)
    bits = with_error(best["bits_per_byte"], best["bits_per_byte_error"], 4)
    return [title, *cells, bits, number(float(best["tokens"]), 0)]
