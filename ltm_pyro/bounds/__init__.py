"""Bounds on log p(x), one a file. Every value is in nats per sequence, higher is better."""

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.elbo import ELBO
from ltm_pyro.bounds.importance_weighted import ImportanceWeighted
from ltm_pyro.bounds.terms import Terms

__all__ = ["ELBO", "AbstractBound", "ImportanceWeighted", "Terms"]
