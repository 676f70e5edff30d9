"""Several models against what they have spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.plots.looks import Looks, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ltm_pyro.evaluation.compare_models import Course, Spent

LABELS: dict[Spent, str] = {"tokens": "tokens seen", "flops": "training FLOPs", "hours": "hours of training"}


def plot_budgets(
    courses: Sequence[Course],
    axes: Axes,
    by: Spent = "tokens",
    device: str = "",
    look: Looks | None = None,
) -> Axes:
    """Validation in bits per byte against one kind of budget, which is on a logarithmic scale; a line for each run.

    Args:
        courses: of the runs.
        axes: where to draw.
        by: the budget.
        device: what the hours are of.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    looked = look or looks((course.name, course.name) for course in courses)
    for course in courses:
        x, y = ([point[key] for point in course.points] for key in (by, "bits_per_byte"))
        axes.plot(x, y, label=course.name, **looked[course.name])
    axes.set_xscale("log")
    axes.set_xlabel(LABELS[by] + (f" ({device})" if by == "hours" and device else ""))
    axes.set_ylabel("validation, bits/byte")
    return axes
