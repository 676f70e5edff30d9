"""Bounds on log p(x), and objectives that are none, one a file. In nats per sequence, higher is better."""

from ltm_pyro.bounds.abstract import AbstractBound, AbstractObjective
from ltm_pyro.bounds.elbo import ELBO
from ltm_pyro.bounds.importance_weighted import ImportanceWeighted
from ltm_pyro.bounds.kl_weighted import KLWeighted
from ltm_pyro.bounds.terms import Terms

__all__ = ["ELBO", "AbstractBound", "AbstractObjective", "ImportanceWeighted", "KLWeighted", "Terms"]
