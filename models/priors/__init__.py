"""Priors over thoughts, one a file: each is a module whose forward returns p(z)."""

from typing import TYPE_CHECKING

from ltm_pyro.models.priors.abstract import AbstractPrior as AbstractPrior
from ltm_pyro.models.priors.autoregressive import AutoregressivePrior as AutoregressivePrior
from ltm_pyro.models.priors.code_usage import CodeReset as CodeReset
from ltm_pyro.models.priors.code_usage import CodeUsage as CodeUsage
from ltm_pyro.models.priors.code_usage import reset_dead_codes as reset_dead_codes
from ltm_pyro.models.priors.codebook import CodebookPrior as CodebookPrior
from ltm_pyro.models.priors.conditional_flow import ConditionalFlow as ConditionalFlow
from ltm_pyro.models.priors.coupling_flow import CouplingFlowPrior as CouplingFlowPrior
from ltm_pyro.models.priors.density import Density as Density
from ltm_pyro.models.priors.diffusion import DiffusionPrior as DiffusionPrior
from ltm_pyro.models.priors.distribution import ThoughtDistribution as ThoughtDistribution
from ltm_pyro.models.priors.energy import EnergyPrior as EnergyPrior
from ltm_pyro.models.priors.exemplar import ExemplarPrior as ExemplarPrior
from ltm_pyro.models.priors.gaussian import GaussianPrior as GaussianPrior
from ltm_pyro.models.priors.hierarchical import HierarchicalPrior as HierarchicalPrior
from ltm_pyro.models.priors.laplace import LaplacePrior as LaplacePrior
from ltm_pyro.models.priors.learned_gaussian import LearnedGaussianPrior as LearnedGaussianPrior
from ltm_pyro.models.priors.mixture import MixturePrior as MixturePrior
from ltm_pyro.models.priors.slow_step_context import SlowStepContext as SlowStepContext
from ltm_pyro.models.priors.spline_flow import SplineFlowPrior as SplineFlowPrior
from ltm_pyro.models.priors.student_t import StudentTPrior as StudentTPrior
from ltm_pyro.models.priors.unnormalised_distribution import UnnormalisedDistribution as UnnormalisedDistribution
from ltm_pyro.models.priors.vamp import VampPrior as VampPrior
from ltm_pyro.offered import offered

if not TYPE_CHECKING:  # a type checker reads the lines above
    __all__ = offered(globals())
