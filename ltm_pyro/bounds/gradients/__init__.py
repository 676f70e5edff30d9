"""Gradient estimators, one a file; the choice is independent of that of the bound."""

from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.automatic import Automatic
from ltm_pyro.bounds.gradients.covariance import Covariance
from ltm_pyro.bounds.gradients.doubly_reparameterised import DoublyReparameterised
from ltm_pyro.bounds.gradients.reparameterised import Reparameterised
from ltm_pyro.bounds.gradients.reweighted_wake_sleep import ReweightedWakeSleep
from ltm_pyro.bounds.gradients.score_function import ScoreFunction
from ltm_pyro.bounds.gradients.sticking_the_landing import StickingTheLanding
from ltm_pyro.bounds.gradients.vimco import VIMCO

__all__ = [
    "VIMCO",
    "AbstractGradient",
    "Automatic",
    "Coefficients",
    "Covariance",
    "DoublyReparameterised",
    "Reparameterised",
    "ReweightedWakeSleep",
    "ScoreFunction",
    "StickingTheLanding",
]
