"""Comparisons of models as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltm_pyro.evaluation.evaluator import Evaluation
from ltm_pyro.evaluation.fit_check import note_on_gains
from ltm_pyro.evaluation.score import LN2, Score
from ltm_pyro.studies.models.budgets import budgets_of, why_none, within
from ltm_pyro.studies.models.training_curve import SPENT, TIGHTEST, TrainingCurve
from ltm_pyro.tables import section, with_error

KINDS = {
    "exact": "exact",
    "diffusion": "diffusion ELBO",
    "importance_weighted": "importance-weighted",
    "elbo": "ELBO",
}


def budget_records(courses: Sequence[TrainingCurve], count: int) -> list[dict[str, Any]]:
    """A record for each run at each budget of each kind."""
    return [
        {"spent": spent, "budget": budget, "run": course.name, "number": course.number, **within(course, spent, budget)}
        for spent in SPENT
        for budget in budgets_of(courses, spent, count)
        for course in courses
    ]


def budget_table(courses: Sequence[TrainingCurve], count: int, device: str, left_out: Sequence[str] = ()) -> str:
    """A table for each kind of budget: bits per byte of each run's last validation within it.

    Args:
        courses: of the runs.
        count: budgets of each kind.
        device: what the runs' speed was measured on.
        left_out: why, of each run that could not be compared.
    """
    parts = [_speeds(courses, device)]
    for spent, title in SPENT.items():
        budgets = budgets_of(courses, spent, count)
        of = f", {device}" if spent == "hours" else ""
        if not budgets:
            parts.append(f"## At equal {title}{of}\n\n{why_none(courses, spent)}")
            continue
        header = ["", "", *(f"{budget:.3g}" for budget in budgets)]
        rows = [
            [course.name, KINDS[course.number], *(f"{within(course, spent, b)['bits_per_byte']:.4f}" for b in budgets)]
            for course in courses
        ]
        notes = ["Validation, bits per byte: the last one within the budget; nothing is interpolated."]
        parts.append(section(f"At equal {title}{of}", [header, *rows], notes))
    if left_out:
        parts.append("## Left out\n\n" + "\n".join(f"- {why}." for why in left_out))
    return "\n\n".join(parts)


def _speeds(courses: Sequence[TrainingCurve], device: str) -> str:
    header = ("", "tokens/s", "MFLOPs/token spent", "as the paper counts", "tokens", "hours")
    rows = [
        (
            course.name,
            _speed(course),
            f"{course.flops_per_token / 1e6:,.1f}",
            f"{course.paper_flops_per_token / 1e6:,.1f}",
            f"{course.points[-1]['tokens']:,.0f}",
            f"{course.points[-1]['hours']:.3g}",
        )
        for course in courses
    ]
    rounds = len(courses[0].speeds)
    how = f"{rounds} rounds, in which each run took a step in turn, and their quartiles" if rounds else "a run's steps"
    notes = [
        f"Speed: the median over {how}, on {device}, without validations and checkpoints. The paper counts "
        "weight gradients in every pass and attention on the whole text; what is spent has neither.",
    ]
    return section("What training spends", [header, *rows], notes)


def _speed(course: TrainingCurve) -> str:
    """Tokens a second, with the quartiles over rounds where there are some."""
    middle = f"{course.tokens_per_second:,.0f}"
    if len(course.speeds) < 2:
        return middle
    low, high = np.quantile(course.speeds, (0.25, 0.75))
    return f"{middle} ({low:,.0f} to {high:,.0f})"


def final_table(evaluations: Mapping[str, Evaluation], reference: str) -> str:
    """All runs on one text, and what each costs more than one of them.

    Args:
        evaluations: by run, of the same text.
        reference: the run that the others are compared with.
    """
    best = {name: tightest(evaluation) for name, evaluation in evaluations.items()}
    other = best[reference]
    header = ("", "", "bits/byte", "nats/token", f"less {reference}, bits/byte")
    rows = []
    for name, score in best.items():
        rows.append(
            (
                name,
                score.label,
                with_error(score.bits_per_byte, score.bits_per_byte_error),
                with_error(score.nats_per_token, score.standard_error),
                "" if name == reference else _difference(score, other),
            )
        )
    count = len(other.nats)
    notes = [
        f"{count:,} held-out sequences; ± one standard error over them. Where two runs cut the text into the same "
        "sequences the difference is paired; a bound's true cost is no higher than what stands here.",
        *(f"{name}: {evaluation.lost}" for name, evaluation in evaluations.items() if evaluation.lost),
    ]
    fits = {name: found.fit for name, found in evaluations.items() if found.fit is not None}
    gains = {name: (fit.gain, fit.gain_error) for name, fit in fits.items() if fit.longer is not None}
    return section("On one held-out text", [header, *rows], [*notes, *note_on_gains(gains)])


def tightest(evaluation: Evaluation) -> Score:
    """The number by which a model is compared: its exact log-likelihood, or its tightest bound."""
    return next(evaluation.scores[key] for key in TIGHTEST if key in evaluation.scores)


def _difference(score: Score, other: Score) -> str:
    difference = score.bits_per_byte - other.bits_per_byte
    if math.isnan(difference):  # a tokenizer loses text
        return "–"
    if len(score.nats) == len(other.nats) and (score.bytes == other.bytes).all():
        value, error = Score("", score.nats, score.bytes, score.bytes).minus(
            Score("", other.nats, other.bytes, other.bytes)
        )
        return f"{value / LN2:+.4f} ± {error / LN2:.4f}"
    return f"{difference:+.4f} (not paired)"
