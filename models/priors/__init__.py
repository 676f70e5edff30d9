"""Priors over thoughts, one a file: each is a module whose forward returns p(z)."""

from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.gaussian import GaussianPrior

__all__ = ["AbstractPrior", "GaussianPrior"]
