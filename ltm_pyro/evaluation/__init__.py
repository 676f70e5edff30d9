"""Honest numbers about a trained model."""

from ltm_pyro.evaluation.four_numbers import Evaluation, FourNumbers
from ltm_pyro.evaluation.score import Score
from ltm_pyro.evaluation.table import markdown

__all__ = ["Evaluation", "FourNumbers", "Score", "markdown"]
