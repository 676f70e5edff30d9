"""Comparisons: many runs, or many estimators on one run, and their tables."""

from ltm_pyro.studies.priors.study import PriorComparison, compare_priors
from ltm_pyro.studies.variants import Variant

__all__ = ["PriorComparison", "Variant", "compare_priors"]
