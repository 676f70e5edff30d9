"""Bounds on log p(x), and objectives that are none, one a file. In nats per sequence."""

from ltm_pyro.bounds.abstract import AbstractBound, AbstractObjective
from ltm_pyro.bounds.chi_upper import ChiUpper
from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.combined_importance_weighted import CombinedImportanceWeighted
from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.elbo import ELBO
from ltm_pyro.bounds.fixed_noise import FixedNoise
from ltm_pyro.bounds.free_bits import FreeBits
from ltm_pyro.bounds.gradients import (
    VIMCO,
    AbstractGradient,
    Automatic,
    Covariance,
    DoublyReparameterised,
    Reparameterised,
    ReweightedWakeSleep,
    ScoreFunction,
    StickingTheLanding,
)
from ltm_pyro.bounds.importance_weighted import ImportanceWeighted
from ltm_pyro.bounds.info_vae import InfoVAE
from ltm_pyro.bounds.jackknife import Jackknife
from ltm_pyro.bounds.kl_weighted import KLWeighted
from ltm_pyro.bounds.multiply_importance_weighted import MultiplyImportanceWeighted
from ltm_pyro.bounds.non_bound import AbstractNonBound
from ltm_pyro.bounds.partially_importance_weighted import PartiallyImportanceWeighted
from ltm_pyro.bounds.renyi import Renyi
from ltm_pyro.bounds.sandwich import Bracket, Sandwich, Simulated
from ltm_pyro.bounds.schedules import AbstractSchedule, CyclicalSchedule, LinearSchedule
from ltm_pyro.bounds.target_capacity import TargetCapacity
from ltm_pyro.bounds.terms import Terms
from ltm_pyro.bounds.thermodynamic import Thermodynamic

__all__ = [
    "ELBO",
    "VIMCO",
    "AbstractBound",
    "AbstractGradient",
    "AbstractNonBound",
    "AbstractObjective",
    "AbstractSchedule",
    "Automatic",
    "Bracket",
    "ChiUpper",
    "Claim",
    "CombinedImportanceWeighted",
    "Covariance",
    "CyclicalSchedule",
    "DoublyReparameterised",
    "Draws",
    "FixedNoise",
    "FreeBits",
    "ImportanceWeighted",
    "InfoVAE",
    "Jackknife",
    "KLWeighted",
    "LinearSchedule",
    "MultiplyImportanceWeighted",
    "PartiallyImportanceWeighted",
    "Renyi",
    "Reparameterised",
    "ReweightedWakeSleep",
    "Sandwich",
    "ScoreFunction",
    "Simulated",
    "StickingTheLanding",
    "TargetCapacity",
    "Terms",
    "Thermodynamic",
]
