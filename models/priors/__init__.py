"""Priors over thoughts, one a file: each is a module whose forward returns p(z)."""

from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.autoregressive import AutoregressivePrior
from ltm_pyro.models.priors.code_usage import CodeUsage, Revival, revive
from ltm_pyro.models.priors.codebook import CodebookPrior
from ltm_pyro.models.priors.coupling_flow import CouplingFlowPrior
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.priors.diffusion import DiffusionPrior
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.energy import EnergyPrior
from ltm_pyro.models.priors.exemplar import ExemplarPrior
from ltm_pyro.models.priors.gaussian import GaussianPrior
from ltm_pyro.models.priors.hierarchical import HierarchicalPrior
from ltm_pyro.models.priors.laplace import LaplacePrior
from ltm_pyro.models.priors.learned_gaussian import LearnedGaussianPrior
from ltm_pyro.models.priors.lesson import Lesson
from ltm_pyro.models.priors.mixture import MixturePrior
from ltm_pyro.models.priors.spline_flow import SplineFlowPrior
from ltm_pyro.models.priors.student_t import StudentTPrior
from ltm_pyro.models.priors.unnormalised_distribution import UnnormalisedDistribution
from ltm_pyro.models.priors.vamp import VampPrior

__all__ = [
    "AbstractPrior",
    "AutoregressivePrior",
    "CodeUsage",
    "CodebookPrior",
    "CouplingFlowPrior",
    "Density",
    "DiffusionPrior",
    "EnergyPrior",
    "ExemplarPrior",
    "GaussianPrior",
    "HierarchicalPrior",
    "LaplacePrior",
    "LearnedGaussianPrior",
    "Lesson",
    "MixturePrior",
    "Revival",
    "SplineFlowPrior",
    "StudentTPrior",
    "ThoughtDistribution",
    "UnnormalisedDistribution",
    "VampPrior",
    "revive",
]
