"""What one pass through the model gives."""

from __future__ import annotations

from typing import NamedTuple

from pyro.poutine import Trace
from torch import Tensor

from ltm_pyro.bounds.divergence import Divergence, divergence
from ltm_pyro.bounds.sites import sample_sites, total_log_prob
from ltm_pyro.errors import InputError


class ScoredPass(NamedTuple):
    """What one pass through the model gives, for the c particles that it holds."""

    log_likelihood: Tensor  # (c, B)
    log_prior: Tensor  # (c, B)
    latent: list[tuple[dict, dict | None]]  # the sites of the guide, each with the model's

    @classmethod
    def of(cls, model_trace: Trace, guide_trace: Trace, particles: int) -> ScoredPass:
        sites = sample_sites(model_trace)
        observed = [site for site in sites if site["is_observed"]]
        prior = {site["name"]: site for site in sites if not site["is_observed"]}
        latent = [(site, prior.get(site["name"])) for site in sample_sites(guide_trace)]
        if not observed:
            raise InputError("nothing is observed: give the model its data, as x=...")
        for name in prior.keys() - {site["name"] for site, _ in latent}:
            raise InputError(f"the guide does not sample the model's site {name!r}: add pyro.sample({name!r}, ...)")
        log_likelihood = total_log_prob(observed, particles, observed[0]["log_prob"])
        return cls(log_likelihood, total_log_prob(prior.values(), particles, log_likelihood), latent)

    def kl(self, closed_form: bool) -> Divergence | None:
        """KL(q || p) of a single site; None where there are others, or masks."""
        q, p = self.latent[0] if len(self.latent) == 1 else (None, None)
        if q is None or p is None or q["mask"] is not None or p["mask"] is not None:
            return None
        return divergence(q["fn"], p["fn"], p["value"], closed_form, q.get("log_prob"), p.get("log_prob"))
