"""Trained models side by side: at equal tokens, at equal training compute, at equal time on a named device."""

from ltm_pyro.studies.models.budgets import budgets_of, within
from ltm_pyro.studies.models.course import SPENT, Course, NothingBoundsError, Spent, course_of
from ltm_pyro.studies.models.tables import budget_records, budget_table, final_table

__all__ = [
    "SPENT",
    "Course",
    "NothingBoundsError",
    "Spent",
    "budget_records",
    "budget_table",
    "budgets_of",
    "course_of",
    "final_table",
    "within",
]
