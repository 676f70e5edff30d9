"""Bounds and gradient estimators compared: tightness, gradients, cost, learning curves."""

from ltm_pyro.evaluation.cells import to_csv
from ltm_pyro.evaluation.compare_bounds.comparison import PARTS, Comparison, compare_bounds
from ltm_pyro.evaluation.compare_bounds.estimators import (
    Estimator,
    all_names,
    as_estimators,
    default_estimators,
    named_estimators,
)
from ltm_pyro.evaluation.compare_bounds.learning import Learning
from ltm_pyro.evaluation.compare_bounds.problem import Problem
from ltm_pyro.evaluation.compare_bounds.sizes import Sizes
from ltm_pyro.files import finite

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
