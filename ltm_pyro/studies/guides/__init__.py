"""Comparison of guides on one decoder: scores at equal budgets, split of the inference gap, costs and curves."""

from ltm_pyro.studies.guides.candidate import Candidate
from ltm_pyro.studies.guides.comparison import GuideComparison
from ltm_pyro.studies.guides.gaps import gaps
from ltm_pyro.studies.guides.sizes import Sizes
from ltm_pyro.studies.guides.training import train_guide

__all__ = ["Candidate", "GuideComparison", "Sizes", "gaps", "train_guide"]
