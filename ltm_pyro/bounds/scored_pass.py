"""The result of one scored pass through the model."""

from __future__ import annotations

from functools import cached_property

from pyro.poutine import Trace
from torch import Tensor

from ltm_pyro.bounds.divergence import Divergence, divergence
from ltm_pyro.bounds.sites import log_prob_of, sample_sites, total_log_prob
from ltm_pyro.errors import InputError


class ScoredPass:
    """Log-densities of one pass through the model, for c particles.

    Args:
        model_trace, guide_trace: traces with the same values of z.
        particles: c.

    Attributes:
        log_likelihood: log p(x | z), shape (c, B).
        latent: the sites of the guide, each paired with the model's.

    Raises:
        InputError: if no site is observed, or the guide lacks a site.
    """

    def __init__(self, model_trace: Trace, guide_trace: Trace, particles: int) -> None:
        sites = sample_sites(model_trace)
        observed = [site for site in sites if site["is_observed"]]
        prior = {site["name"]: site for site in sites if not site["is_observed"]}
        self.latent = [(site, prior.get(site["name"])) for site in sample_sites(guide_trace)]
        if not observed:
            raise InputError("nothing is observed: give the model its data, as x=...")
        for name in prior.keys() - {site["name"] for site, _ in self.latent}:
            raise InputError(f"the guide does not sample the model's site {name!r}: add pyro.sample({name!r}, ...)")
        self.log_likelihood = total_log_prob(observed, particles, log_prob_of(observed[0]))

    @cached_property
    def log_prior(self) -> Tensor:
        """log p(z), shape (c, B)."""
        prior = [site for _, site in self.latent if site is not None]
        return total_log_prob(prior, len(self.log_likelihood), self.log_likelihood)

    def kl(self, closed_form: bool) -> Divergence | None:
        """KL(q || p) of the latent site; None if there are several, or masks."""
        q, p = self.latent[0] if len(self.latent) == 1 else (None, None)
        if q is None or p is None or q["mask"] is not None or p["mask"] is not None:
            return None
        return divergence(q["fn"], p["fn"], p["value"], closed_form, sampled=lambda: log_prob_of(q) - log_prob_of(p))
