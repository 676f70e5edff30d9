"""Tables of a comparison of models, in Markdown."""

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
    """Records of each run at each budget of each kind."""
    return [
        {"spent": spent, "budget": budget, "run": course.name, "number": course.number, **within(course, spent, budget)}
        for spent in SPENT
        for budget in budgets_of(courses, spent, count)
        for course in courses
    ]


def budget_table(courses: Sequence[TrainingCurve], count: int, device: str, left_out: Sequence[str] = ()) -> str:
    """Tables by kind of budget: bits per byte of each run's last validation within each budget.

    Args:
        courses: training curves of the runs.
        count: number of budgets of each kind.
        device: device of the measured speeds.
        left_out: reason for each run that could not be compared.
    """
    parts = [_speeds(courses, device)]
    for spent, title in SPENT.items():
        budgets = budgets_of(courses, spent, count)
        suffix = f", {device}" if spent == "hours" else ""
        if not budgets:
            parts.append(f"## At equal {title}{suffix}\n\n{why_none(courses, spent)}")
            continue
        header = ["", "", *(f"{budget:.3g}" for budget in budgets)]
        rows = [
            [course.name, KINDS[course.number], *(f"{within(course, spent, b)['bits_per_byte']:.4f}" for b in budgets)]
            for course in courses
        ]
        notes = ["Bits per byte of the last validation within the budget; no interpolation."]
        parts.append(section(f"At equal {title}{suffix}", [header, *rows], notes))
    if left_out:
        parts.append("## Left out\n\n" + "\n".join(f"- {reason}." for reason in left_out))
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
    basis = (
        f"{rounds} rounds, in which each run took a step in turn, and their quartiles" if rounds else "a run's steps"
    )
    notes = [
        f"Speed: the median over {basis}, on {device}, without validations and checkpoints. The paper counts "
        "weight gradients in every pass and attention on the whole text; the loops spend neither.",
    ]
    return section("What training spends", [header, *rows], notes)


def _speed(course: TrainingCurve) -> str:
    """Tokens per second, with the quartiles over two or more rounds."""
    middle = f"{course.tokens_per_second:,.0f}"
    if len(course.speeds) < 2:
        return middle
    low, high = np.quantile(course.speeds, (0.25, 0.75))
    return f"{middle} ({low:,.0f} to {high:,.0f})"


def final_table(evaluations: Mapping[str, Evaluation], reference: str) -> str:
    """Table of all runs on the same text, with differences to the reference.

    Args:
        evaluations: evaluations by run, on the same text.
        reference: name of the reference run.
    """
    best = {name: tightest(evaluation) for name, evaluation in evaluations.items()}
    reference_score = best[reference]
    header = ("", "", "bits/byte", "nats/token", f"less {reference}, bits/byte")
    rows = []
    for name, score in best.items():
        rows.append(
            (
                name,
                score.label,
                with_error(score.bits_per_byte, score.bits_per_byte_error),
                with_error(score.nats_per_token, score.standard_error),
                "" if name == reference else _difference(score, reference_score),
            )
        )
    count = len(reference_score.nats)
    notes = [
        f"{count:,} held-out sequences; ± one standard error over sequences. The difference is paired if both runs "
        "have the same sequences. The true cost is no higher than a bound shown here.",
        *(f"{name}: {evaluation.lost}" for name, evaluation in evaluations.items() if evaluation.lost),
    ]
    fits = {name: evaluation.fit for name, evaluation in evaluations.items() if evaluation.fit is not None}
    gains = {name: (fit.gain, fit.gain_error) for name, fit in fits.items() if fit.longer is not None}
    return section("On one held-out text", [header, *rows], [*notes, *note_on_gains(gains)])


def tightest(evaluation: Evaluation) -> Score:
    """Score for comparisons of models: the exact log-likelihood, or else the tightest bound."""
    return next(evaluation.scores[key] for key in TIGHTEST if key in evaluation.scores)


def _difference(score: Score, reference: Score) -> str:
    difference = score.bits_per_byte - reference.bits_per_byte
    if math.isnan(difference):  # a tokenizer loses text
        return "–"
    if len(score.nats) == len(reference.nats) and (score.bytes == reference.bytes).all():
        value, error = Score("", score.nats, score.bytes, score.bytes).minus(
            Score("", reference.nats, reference.bytes, reference.bytes)
        )
        return f"{value / LN2:+.4f} ± {error / LN2:.4f}"
    return f"{difference:+.4f} (not paired)"
