"""Comparison of bounds and gradient estimators: tightness, gradients, cost, learning curves."""

from ltm_pyro.files import finite
from ltm_pyro.studies.bounds.comparison import PARTS, Comparison, compare_bounds
from ltm_pyro.studies.bounds.estimators import (
    Estimator,
    all_names,
    as_estimators,
    default_estimators,
    named_estimators,
)
from ltm_pyro.studies.bounds.learning import Learning
from ltm_pyro.studies.bounds.problem import Problem
from ltm_pyro.studies.bounds.sizes import Sizes
from ltm_pyro.tables import to_csv

__all__ = [
    "PARTS",
    "Comparison",
    "Estimator",
    "Learning",
    "Problem",
    "Sizes",
    "all_names",
    "as_estimators",
    "compare_bounds",
    "default_estimators",
    "finite",
    "named_estimators",
    "to_csv",
]
