"""Few-shot arithmetic as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ltm_pyro.evaluation.shares import share_interval
from ltm_pyro.suites.gsm8k.pass_at_k import mean_pass_at_k
from ltm_pyro.tables import section

MEASURES = {
    "right": "right",
    "occurs": "lenient: the answer occurs in the text",
    "occurs_by_chance": "lenient, another problem's answer",
}


def score_records(found: Mapping[int, Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A record for each measure, number of shots and k, in percent of problems.

    Args:
        found: records of problems, as `judged` gives them, by shots; all of them with as many attempts.
    """
    return [
        {
            "shots": shots,
            "measure": measure,
            "k": k,
            "percent": 100 * mean,
            "standard_error": 100 * error,
            "low": 100 * low,
            "high": 100 * high,
            "problems": len(own),
        }
        for shots, own in found.items()
        for measure in MEASURES
        for k in range(1, own[0]["attempts"] + 1)
        for mean, error in [mean_pass_at_k([one["attempts"] for one in own], [one[measure] for one in own], k)]
        for low, high in [share_interval(mean, error, len(own))]
    ]


def table(found: Mapping[int, Sequence[dict[str, Any]]], guess: tuple[str, float], z: bool) -> str:
    """A row for each measure and number of shots, a column for each k.

    Args:
        found: as for `score_records`.
        guess: the training problems' commonest answer, and the percentage of these problems that it answers.
        z: whether the model has thoughts.
    """
    records = score_records(found)
    most = max(record["k"] for record in records)
    header = ["", "shots", "answered", *(f"pass@{k}, %" for k in range(1, most + 1)), "problems"]
    rows = []
    for measure, title in MEASURES.items():
        for shots, own in found.items():
            line = [r for r in records if (r["shots"], r["measure"]) == (shots, measure)]
            answered = sum(one["answered"] for one in own) / sum(one["attempts"] for one in own)
            cells = [f"{record['percent']:.2f} [{record['low']:.2f}, {record['high']:.2f}]" for record in line]
            shown = f"{100 * answered:.1f} %" if measure == "right" else ""
            rows.append([title, str(shots), shown, *cells, *[""] * (most - len(cells)), f"{len(own):,}"])
    rows.append([f"guessing {guess[0]}, the training set's commonest", "", "", f"{guess[1]:.2f}", *[""] * most])
    return section("GSM8K", [header, *rows], [*_notes(z), *_room(found)])


def _notes(z: bool) -> list[str]:
    each = (
        "a posterior inference of z from the prompt of its own" if z else "draws of its own; the model has no thoughts"
    )
    return [
        f"Every attempt has {each}. Right: the number behind the first ####. pass@k: the unbiased estimate from all "
        "attempts; in brackets Wilson's 95 % interval over problems. Demonstrations are training problems.",
        "Lenient is the score of the paper's released code: the right answer's characters occur anywhere in the text. "
        "What it gives for another problem's answer is chance.",
    ]


def _room(found: Mapping[int, Sequence[dict[str, Any]]]) -> list[str]:
    notes = []
    for shots, own in found.items():
        shown = sum(one["demonstrations"] for one in own) / len(own)
        if shown < shots:
            notes.append(f"{shots} shots: there was room for {shown:.1f} demonstrations on average, the last ones.")
        if cut := sum(one["question_cut"] for one in own):
            notes.append(f"{shots} shots: {cut} of {len(own)} questions were too long, and lost their beginning.")
    return notes
