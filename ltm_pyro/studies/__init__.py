"""Comparisons of trained runs, and of estimators on a trained run, with their tables."""

from ltm_pyro.studies.bounds.comparison import Comparison, compare_bounds
from ltm_pyro.studies.bounds.study import study_bounds
from ltm_pyro.studies.guides.comparison import GuideComparison
from ltm_pyro.studies.guides.kept_study import study_guides
from ltm_pyro.studies.guides.study import compare_guides
from ltm_pyro.studies.models.kept_study import study_models
from ltm_pyro.studies.models.study import ModelComparison, compare_models
from ltm_pyro.studies.priors.kept_study import study_priors
from ltm_pyro.studies.priors.study import PriorComparison, compare_priors
from ltm_pyro.studies.scale.kept_study import study_scale
from ltm_pyro.studies.scale.study import ScaleStudy
from ltm_pyro.studies.study import Report, Study
from ltm_pyro.studies.trial import Trial
from ltm_pyro.studies.variants import Variant

__all__ = [
    "Comparison",
    "GuideComparison",
    "ModelComparison",
    "PriorComparison",
    "Report",
    "ScaleStudy",
    "Study",
    "Trial",
    "Variant",
    "compare_bounds",
    "compare_guides",
    "compare_models",
    "compare_priors",
    "study_bounds",
    "study_guides",
    "study_models",
    "study_priors",
    "study_scale",
]
