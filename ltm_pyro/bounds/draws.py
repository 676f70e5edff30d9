"""The samples of z of one pass through guide and model, and the log-densities there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import cached_property
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from pyro.poutine.util import prune_subsample_sites
from pyro.util import check_model_guide_match, check_site_shape
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ltm_pyro.bounds.divergence import Divergence
from ltm_pyro.bounds.scored_pass import ScoredPass
from ltm_pyro.bounds.sites import LABEL, PARTICLES, Cut, holding, log_prob_at, log_prob_of, sample_sites, total_log_prob
from ltm_pyro.errors import InputError


class Draws:
    """S samples of every latent site for every sequence, drawn once, and the densities there, (S, B) each.

    Args:
        model, guide: Pyro programs that share their latent sites, all within one plate at dim -1.
        args, kwargs: of both.
        particles: S.
        at_once: particles in one pass through the model; None takes all.
        cut: whether the samples are cut from the guide's parameters, for gradients that do not go along z.
        kl_weight: of log q - log p(z) in `log_weight`.
        check_site: shown every site before its density is taken; it may refuse one, or put a distribution in place.

    Raises:
        InputError: if nothing is observed, the guide leaves out a site, or a site is outside the plate or scaled.
    """

    def __init__(
        self,
        model: nn.Module,
        guide: nn.Module,
        args: tuple,
        kwargs: dict[str, Any],
        particles: int = 1,
        at_once: int | None = None,
        cut: bool = False,
        kl_weight: float = 1.0,
        check_site: Callable[[dict], None] = lambda site: None,
    ) -> None:
        self.model, self.guide, self.args, self.kwargs = model, guide, args, kwargs
        self.particles, self.kl_weight, self.check_site = particles, kl_weight, check_site
        self.at_once = min(at_once or particles, particles)
        with Cut(cut):
            self.guide_trace = self._run(guide, particles)
        self._latent = sample_sites(self.guide_trace)
        for site in self._latent:
            check_site(site)
        if _at_once():
            self.guide_trace.compute_log_prob()
        self.z = {site["name"]: site["value"] for site in self._latent}  # (S, B, *event) each
        self._passes = list(self._score(self.z))
        self._divergences: dict[bool, Divergence] = {}

    @cached_property
    def log_likelihood(self) -> Tensor:
        """log p(x | z), shape (S, B): of all observed sites, a label's included."""
        return torch.cat([part.log_likelihood for part in self._passes])

    @cached_property
    def log_prior(self) -> Tensor:
        """log p(z), shape (S, B)."""
        return torch.cat([part.log_prior for part in self._passes])

    @cached_property
    def log_q(self) -> Tensor:
        """log q(z), shape (S, B)."""
        return total_log_prob(self._latent, self.particles, self.log_likelihood)

    @cached_property
    def log_joint(self) -> Tensor:
        """log p(x | z) + kl_weight · log p(z), shape (S, B)."""
        return self.log_likelihood + self.kl_weight * self.log_prior

    @cached_property
    def log_weight(self) -> Tensor:
        """log p(x | z) + kl_weight · (log p(z) - log q(z)), shape (S, B)."""
        return self.log_joint - self.kl_weight * self.log_q

    def kl(self, closed_form: bool = True) -> Divergence:
        """KL(q || p) over all latent sites, shape (S, B); zero, and exact, where there are none.

        A closed form serves a single site. Several may depend on one another, and the sum of their
        closed forms would then not be the KL: their samples estimate it. It knows nothing of `poutine.mask` either.
        """
        if closed_form not in self._divergences:
            parts = [part.kl(closed_form) for part in self._passes]
            whole = [part for part in parts if part is not None]
            self._divergences[closed_form] = Divergence.cat(whole) if whole else self._sampled_kl()
        return self._divergences[closed_form]

    def recombine(self, weights: Tensor, path: Tensor | None, score: Tensor | None) -> Tensor:
        r"""A value per sequence, shape (B,), that matters for its gradient alone.

        .. math:: \nabla_\theta = \sum_s a_s \nabla_\theta \log p(x, z_s), \qquad
                  \nabla_\gamma = \sum_s b_s \frac{\partial \log w_s}{\partial z_s} \frac{\partial z_s}{\partial \gamma}
                                + \sum_s c_s \nabla_\gamma \log q(z_s)

        where :math:`\partial \log w_s / \partial z_s` holds q's parameters, and :math:`\nabla_\gamma \log q` holds z.

        Args:
            weights, path, score: a, b and c, shape (S, B), without history; None is zero.
        """
        along = self._log_q_along_z() if path is not None and self._has_path() else None
        if path is None or along is None:
            joint = (weights * (self.log_joint_at_fixed_z() if self._has_path() else self.log_joint)).sum(0)
        else:
            joint = (path * (self.log_joint - self.kl_weight * along)).sum(0)
            if path is not weights and self._model_learns():
                self._check_repeatable()
                joint = joint + ((weights - path) * self.log_joint_at_fixed_z()).sum(0)
        if score is None:
            return joint
        log_q = self.log_q if along is None else self.log_q - along  # z held
        return joint + (score * log_q).sum(0)

    def log_joint_at_fixed_z(self) -> Tensor:
        """`log_joint`, shape (S, B), from another pass through the model, with the samples cut from q."""
        fixed = {name: value.detach() for name, value in self.z.items()}
        parts = list(self._score(fixed))
        return torch.cat([part.log_likelihood + self.kl_weight * part.log_prior for part in parts])

    def prior_samples(self) -> dict[str, Tensor]:
        """As many fresh samples from p(z), shape (S, B, *event) by site."""
        samples: dict[str, list[Tensor]] = {}
        for part in self._passes:
            for _, p in part.latent:
                if p is not None:
                    samples.setdefault(p["name"], []).append(p["fn"]())
        return {name: torch.cat(parts) for name, parts in samples.items()}

    def sleep_log_q(self) -> Tensor:
        """log q(z' | x') for one z' and x' from the model for every sequence, shape (B,); γ's gradient alone.

        Raises:
            InputError: if the guide has local parameters, which belong to the texts of the batch.
        """
        if getattr(self.guide, "local_parameters", list)():
            raise InputError(
                f"{type(self.guide).__name__} has local parameters, which a dreamed text has none of: the sleep phase "
                "trains amortised guides; take wake=1, sleep=0"
            )
        rest = {name: value for name, value in self.kwargs.items() if name not in ("x", LABEL, "batch_size")}
        with torch.no_grad():
            batch = self.log_likelihood.shape[-1]
            model_trace = poutine.trace(self.model).get_trace(None, *self.args[1:], batch_size=batch, **rest)
        (x,) = (
            site["value"]
            for site in sample_sites(prune_subsample_sites(model_trace))
            if site["name"] not in {*self.z, LABEL}
        )
        guide: Any = copy(self.guide)  # so that its own batch stays what it is
        if hasattr(guide, "start"):
            mask = rest.get("mask", self.args[1] if len(self.args) > 1 else None)
            prior: Any = getattr(self.model, "prior", None)
            with torch.no_grad():
                guide.start(x, mask, prior=None if prior is None else prior())
        guide_trace = poutine.trace(poutine.replay(guide, trace=model_trace)).get_trace(x, *self.args[1:], **rest)
        sites = sample_sites(prune_subsample_sites(guide_trace))
        return torch.stack([log_prob_of(site) for site in sites]).sum(0)

    def check_reparameterised(self) -> None:
        """Raises InputError if a site that learns has no path to its parameters: its gradient would be wrong."""
        for site in self._latent:
            if not site["fn"].has_rsample and log_prob_of(site).requires_grad:
                raise InputError(
                    f"the guide samples site {site['name']!r} from {type(site['fn']).__name__}, which cannot be "
                    "reparameterised, so this bound's gradient would be wrong: give it gradient=ScoreFunction() or "
                    "another that needs no path, evaluate it under torch.no_grad(), or use a guide with rsample"
                )

    def _check_repeatable(self) -> None:
        """Raises InputError if a prior's density is random: read twice, it would be two different ones."""
        for _, p in self._passes[0].latent:
            if p is not None and getattr(getattr(p["fn"], "density", None), "is_random", False):
                raise InputError(
                    f"site {p['name']!r} has a density that is itself a random estimate, and this gradient reads "
                    "it twice where q and the model learn together: take Reparameterised(), or fit q in the fast loop"
                )

    def _sampled_kl(self) -> Divergence:
        return Divergence(self.log_q - self.log_prior, closed_form=not self.z)

    def _has_path(self) -> bool:
        return any(value.requires_grad for value in self.z.values())

    def _model_learns(self) -> bool:
        return not isinstance(self.model, nn.Module) or any(p.requires_grad for p in self.model.parameters())

    def _log_q_along_z(self) -> Tensor:
        """log q(z) with its parameters held: shape (S, B), right in its gradient along z alone."""
        sites = [site for site in self._latent if site["value"].requires_grad]
        # a copy of the value, so that no transform takes its inverse from a cache, which would be another path
        log_q = [log_prob_at(site, site["value"].clone()) for site in sites]
        values = [site["value"] for site in sites]
        slopes = torch.autograd.grad(torch.stack(log_q).sum(), values, retain_graph=True)
        along = [(slope * value).flatten(2).sum(-1) for slope, value in zip(slopes, values, strict=True)]
        return torch.stack(along).sum(0)

    def _run(self, program: Callable, particles: int, held: Trace | None = None) -> Trace:
        """Trace a program with a plate of particles around it, at the latent values of another trace if given."""

        def run(*args: Any, **kwargs: Any) -> None:
            with pyro.plate("particles", particles, dim=PARTICLES):
                program(*args, **kwargs)

        replayed = run if held is None else poutine.replay(run, trace=held)  # outside, so that the plate sees all sites
        return prune_subsample_sites(poutine.trace(replayed).get_trace(*self.args, **self.kwargs))

    def _score(self, z: dict[str, Tensor]) -> Iterator[ScoredPass]:
        """Run the model on samples, `at_once` in one pass."""
        if self.at_once == self.particles or not z:
            yield self._pass(z, self.guide_trace)
            return
        names = list(z)
        for first in range(0, self.particles, self.at_once):
            chunk = [z[name][first : first + self.at_once] for name in names]
            guide_trace = self._run(self.guide, len(chunk[0]), holding(self.guide_trace, names, chunk))
            yield self._recomputed(names, chunk, guide_trace)

    def _recomputed(self, names: list[str], values: list[Tensor], guide_trace: Trace) -> ScoredPass:
        """A pass that keeps no activation for `backward`, and runs again there."""
        passes: list[ScoredPass] = []

        def run(*values: Tensor) -> tuple[Tensor, Tensor]:
            passes.append(self._pass(dict(zip(names, values, strict=True)), guide_trace))
            return passes[-1].log_likelihood, passes[-1].log_prior

        if not torch.is_grad_enabled():
            run(*values)
            return passes[0]
        log_likelihood, log_prior = checkpoint(run, *values, use_reentrant=False)
        passes[0].log_likelihood, passes[0].log_prior = log_likelihood, log_prior
        return passes[0]

    def _pass(self, z: dict[str, Tensor], guide_trace: Trace) -> ScoredPass:
        held = holding(guide_trace, list(z), list(z.values()))
        particles = len(next(iter(z.values()))) if z else self.particles
        model_trace = self._run(self.model, particles, held)
        for site in sample_sites(model_trace):
            self.check_site(site)
        if _at_once():
            model_trace.compute_log_prob()
        if is_validation_enabled():
            check_model_guide_match(model_trace, guide_trace, max_plate_nesting=2)
            for site in sample_sites(model_trace):
                check_site_shape(site, max_plate_nesting=2)
        return ScoredPass(model_trace, guide_trace, particles)


def _at_once() -> bool:
    """Whether densities are taken with the draw, and not when first asked for.

    Without history they would get one if they were asked for where gradients are on again; and validation, which
    warns of what is not finite, looks at all of them.
    """
    return is_validation_enabled() or not torch.is_grad_enabled()
