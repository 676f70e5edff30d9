"""Objectives that bound nothing, for learning only."""

from __future__ import annotations

from ltm_pyro.bounds.abstract import AbstractBound, AbstractObjective
from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.elbo import ELBO


class AbstractNonBound(AbstractObjective):
    """For learning only: its value says nothing about log p(x), and no table of bounds holds it."""

    claim = Claim.NONE

    def as_bound(self) -> AbstractBound:
        """The ELBO, by the same gradient where that needs no path along z."""
        return ELBO(self.particles, gradient=self.gradient) if self.gradient.cuts else ELBO()
