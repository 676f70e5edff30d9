"""Evaluation of a trained model: bounds and scores with their errors, checks of the fit, calibration."""

from ltm_pyro.evaluation.calibration import simulation_based_calibration
from ltm_pyro.evaluation.evaluator import Evaluation, Evaluator
from ltm_pyro.evaluation.fit_check import FitCheck
from ltm_pyro.evaluation.pareto import pareto_k
from ltm_pyro.evaluation.ranks import Calibration
from ltm_pyro.evaluation.score import Score
from ltm_pyro.evaluation.table import markdown

__all__ = [
    "Calibration",
    "Evaluation",
    "Evaluator",
    "FitCheck",
    "Score",
    "markdown",
    "pareto_k",
    "simulation_based_calibration",
]
