"""Comparison of trained models at equal tokens, equal training compute, and equal time on a named device."""

from ltm_pyro.studies.models.budgets import budgets_of, within
from ltm_pyro.studies.models.tables import budget_records, budget_table, final_table
from ltm_pyro.studies.models.training_curve import SPENT, NothingBoundsError, Spent, TrainingCurve, training_curve_of

__all__ = [
    "SPENT",
    "NothingBoundsError",
    "Spent",
    "TrainingCurve",
    "budget_records",
    "budget_table",
    "budgets_of",
    "final_table",
    "training_curve_of",
    "within",
]
