"""Bounds on log p(x), and objectives that are no bounds, one a file; in nats per sequence."""

from typing import TYPE_CHECKING

from ltm_pyro.bounds.abstract import AbstractBound as AbstractBound
from ltm_pyro.bounds.abstract import AbstractObjective as AbstractObjective
from ltm_pyro.bounds.chi_upper import ChiUpper as ChiUpper
from ltm_pyro.bounds.claim import Claim as Claim
from ltm_pyro.bounds.combined_importance_weighted import CombinedImportanceWeighted as CombinedImportanceWeighted
from ltm_pyro.bounds.draws import Draws as Draws
from ltm_pyro.bounds.elbo import ELBO as ELBO
from ltm_pyro.bounds.fixed_noise import FixedNoise as FixedNoise
from ltm_pyro.bounds.free_bits import FreeBits as FreeBits
from ltm_pyro.bounds.gradients import VIMCO as VIMCO
from ltm_pyro.bounds.gradients import AbstractGradient as AbstractGradient
from ltm_pyro.bounds.gradients import Automatic as Automatic
from ltm_pyro.bounds.gradients import Covariance as Covariance
from ltm_pyro.bounds.gradients import DoublyReparameterised as DoublyReparameterised
from ltm_pyro.bounds.gradients import Reparameterised as Reparameterised
from ltm_pyro.bounds.gradients import ReweightedWakeSleep as ReweightedWakeSleep
from ltm_pyro.bounds.gradients import ScoreFunction as ScoreFunction
from ltm_pyro.bounds.gradients import StickingTheLanding as StickingTheLanding
from ltm_pyro.bounds.importance_weighted import ImportanceWeighted as ImportanceWeighted
from ltm_pyro.bounds.info_vae import InfoVAE as InfoVAE
from ltm_pyro.bounds.jackknife import Jackknife as Jackknife
from ltm_pyro.bounds.kl_weighted import KLWeighted as KLWeighted
from ltm_pyro.bounds.multiply_importance_weighted import MultiplyImportanceWeighted as MultiplyImportanceWeighted
from ltm_pyro.bounds.non_bound import AbstractNonBound as AbstractNonBound
from ltm_pyro.bounds.partially_importance_weighted import PartiallyImportanceWeighted as PartiallyImportanceWeighted
from ltm_pyro.bounds.renyi import Renyi as Renyi
from ltm_pyro.bounds.sandwich import Bracket as Bracket
from ltm_pyro.bounds.sandwich import Sandwich as Sandwich
from ltm_pyro.bounds.sandwich import Simulated as Simulated
from ltm_pyro.bounds.schedules import AbstractSchedule as AbstractSchedule
from ltm_pyro.bounds.schedules import CyclicalSchedule as CyclicalSchedule
from ltm_pyro.bounds.schedules import LinearSchedule as LinearSchedule
from ltm_pyro.bounds.target_capacity import TargetCapacity as TargetCapacity
from ltm_pyro.bounds.terms import Terms as Terms
from ltm_pyro.bounds.thermodynamic import Thermodynamic as Thermodynamic
from ltm_pyro.offered import offered

if not TYPE_CHECKING:  # a type checker reads the lines above
    __all__ = offered(globals())
