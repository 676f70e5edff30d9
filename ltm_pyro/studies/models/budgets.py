"""Budgets that several runs can be compared at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ltm_pyro.studies.models.training_curve import TrainingCurve


def budgets_of(courses: Sequence[TrainingCurve], spent: str, count: int) -> list[float]:
    """Budgets at equal ratios, from where every run has its first validation to where one has its last.

    Args:
        courses: of the runs.
        spent: `tokens`, `flops` or `hours`.
        count: how many; none if one run's first validation comes after another's last.
    """
    first = max(course.points[0][spent] for course in courses)
    last = min(course.points[-1][spent] for course in courses)
    if first > last:
        return []
    return [float(budget) for budget in np.geomspace(first, last, count)] if first < last else [first]


def why_none(courses: Sequence[TrainingCurve], spent: str) -> str:
    """The remedy where there is no budget that all runs have spent."""
    late = max(courses, key=lambda course: course.points[0][spent]).name
    early = min(courses, key=lambda course: course.points[-1][spent]).name
    return (
        f"None: at its first validation {late} had spent more than {early} ever did. Train {early} for longer, or "
        f"{late} with a smaller --train.evaluate_every."
    )


def within(course: TrainingCurve, spent: str, budget: float) -> dict[str, float]:
    """The last validation of a run within a budget; nothing is interpolated."""
    return [point for point in course.points if point[spent] <= budget * (1 + 1e-9)][-1]
