"""Common budgets of several runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ltm_pyro.studies.models.training_curve import TrainingCurve


def budgets_of(courses: Sequence[TrainingCurve], spent: str, count: int) -> list[float]:
    """Budgets at equal ratios, from the latest first validation of all runs to the earliest last one.

    Args:
        courses: training curves of the runs.
        spent: `tokens`, `flops` or `hours`.
        count: number of budgets; there are none if one run's first validation comes after another's last.
    """
    first = max(course.points[0][spent] for course in courses)
    last = min(course.points[-1][spent] for course in courses)
    if first > last:
        return []
    return [float(budget) for budget in np.geomspace(first, last, count)] if first < last else [first]


def why_none(courses: Sequence[TrainingCurve], spent: str) -> str:
    """Message with the remedy if the runs have no common budget."""
    late = max(courses, key=lambda course: course.points[0][spent]).name
    early = min(courses, key=lambda course: course.points[-1][spent]).name
    return (
        f"None: at its first validation {late} had spent more than {early} ever did. Train {early} for longer, or "
        f"{late} with a smaller --train.evaluate_every."
    )


def within(course: TrainingCurve, spent: str, budget: float) -> dict[str, float]:
    """Last validation of a run within a budget, without interpolation."""
    return [point for point in course.points if point[spent] <= budget * (1 + 1e-9)][-1]
