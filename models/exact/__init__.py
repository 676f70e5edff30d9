"""Small models whose evidence and posterior are known, to measure bounds and gradients against."""

from ltm_pyro.models.exact.finite_mixture import FiniteMixture
from ltm_pyro.models.exact.linear_gaussian import LinearGaussian

__all__ = ["FiniteMixture", "LinearGaussian"]
