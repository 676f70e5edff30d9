"""The base class of objectives that are no bounds, for learning only."""

from __future__ import annotations

from ltm_pyro.bounds.abstract import AbstractBound, AbstractObjective
from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.elbo import ELBO


class AbstractNonBound(AbstractObjective):
    """Objective that is no bound on log p(x), for learning only: no table of bounds contains it."""

    claim = Claim.NONE

    def as_bound(self) -> AbstractBound:
        """The ELBO, with the same gradient estimator if that needs no reparameterisation."""
        return ELBO(self.particles, gradient=self.gradient) if self.gradient.cuts else ELBO()
