"""Table of few-shot accuracy on GSM8K, in Markdown."""

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
    """Records of pass@k by measure, number of shots and k, in percent of problems.

    Args:
        found: records of problems, from `judged`, by number of shots; all with the same number of attempts.
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
            "problems": len(records),
        }
        for shots, records in found.items()
        for measure in MEASURES
        for k in range(1, records[0]["attempts"] + 1)
        for mean, error in [mean_pass_at_k([r["attempts"] for r in records], [r[measure] for r in records], k)]
        for low, high in [share_interval(mean, error, len(records))]
    ]


def table(found: Mapping[int, Sequence[dict[str, Any]]], guess: tuple[str, float], z: bool) -> str:
    """Table with a row for each measure and number of shots, and a column for each k.

    Args:
        found: as for `score_records`.
        guess: most frequent answer of the training problems, and the percentage of test problems that it answers.
        z: True if the model has thoughts.
    """
    records = score_records(found)
    largest = max(record["k"] for record in records)
    header = ["", "shots", "answered", *(f"pass@{k}, %" for k in range(1, largest + 1)), "problems"]
    rows = []
    for measure, title in MEASURES.items():
        for shots, problems in found.items():
            line = [r for r in records if (r["shots"], r["measure"]) == (shots, measure)]
            answered = sum(r["answered"] for r in problems) / sum(r["attempts"] for r in problems)
            cells = [f"{record['percent']:.2f} [{record['low']:.2f}, {record['high']:.2f}]" for record in line]
            share = f"{100 * answered:.1f} %" if measure == "right" else ""
            rows.append([title, str(shots), share, *cells, *[""] * (largest - len(cells)), f"{len(problems):,}"])
    rows.append([f"guessing {guess[0]}, the training set's commonest", "", "", f"{guess[1]:.2f}", *[""] * largest])
    return section("GSM8K", [header, *rows], [*_notes(z), *_room(found)])


def _notes(z: bool) -> list[str]:
    draws = "a separate posterior inference of z from the prompt" if z else "separate draws; the model has no thoughts"
    return [
        f"Every attempt has {draws}. Right: by the number after the first ####. pass@k: the unbiased estimate from all "
        "attempts; in brackets Wilson's 95 % interval over problems. Demonstrations are training problems.",
        "Lenient is the score of the paper's released code: the right answer's characters occur anywhere in the text. "
        "The lenient score for another problem's answer is the chance level.",
    ]


def _room(records_by_shots: Mapping[int, Sequence[dict[str, Any]]]) -> list[str]:
    notes = []
    for shots, records in records_by_shots.items():
        fitting = sum(record["demonstrations"] for record in records) / len(records)
        if fitting < shots:
            notes.append(f"{shots} shots: there was room for {fitting:.1f} demonstrations on average, the last ones.")
        if cut := sum(record["question_cut"] for record in records):
            notes.append(f"{shots} shots: {cut} of {len(records)} questions were too long, and lost their beginning.")
    return notes
