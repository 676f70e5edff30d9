"""What every objective and every bound is: a `pyro.infer.ELBO` that works per sequence and names its terms."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from pyro.infer import ELBO as PyroELBO
from pyro.infer.enum import get_importance_trace
from pyro.poutine import Trace
from torch import Tensor, nn

from ltm_pyro.bounds.divergence import Divergence, divergence
from ltm_pyro.bounds.terms import Terms
from ltm_pyro.errors import InputError


class AbstractObjective(PyroELBO):
    """What inference maximises, per sequence, for any model and guide that share a plate of sequences.

    Only an `AbstractBound` bounds log p(x); the other objectives are for learning, never for a table.

    The plate stands at dim -1 and holds every site; no log-weight is ever mixed across it. `bound(model,
    guide)` is a loss module as in Pyro; `bound.terms(model, guide, ...)` is the same with its parts.

    Args:
        particles: S, samples of z per sequence, drawn in one vectorised pass.

    Raises:
        InputError: if S is not positive; from `terms`, if a site is outside the plate of sequences or
            its log-probability is scaled (by a subsampled plate, say), since then nothing is bounded.
    """

    def __init__(self, particles: int = 1) -> None:
        if particles < 1:
            raise InputError(f"particles={particles}: a bound needs at least one sample of z")
        super().__init__(num_particles=particles, vectorize_particles=True, max_plate_nesting=1)
        self.particles = particles

    @abstractmethod
    def terms(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Terms:
        """The objective and its parts, differentiable, shape (B,) each; arguments go to model and guide alike."""

    def differentiable_loss(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """The negative objective, summed over the batch, in nats: a scalar to call `backward` on.

        Raises:
            InputError: if the guide samples a site without reparameterisation: its gradient would be wrong.
        """
        return -self.terms(model, guide, *args, **kwargs).bound.sum()

    @torch.no_grad()
    def loss(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> float:
        """The negative objective, summed over the batch, in nats, as a number."""
        return self.differentiable_loss(model, guide, *args, **kwargs).item()

    def loss_and_grads(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> float:
        """`loss`, with its gradients added to the parameters'."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        loss.backward()
        return loss.item()

    def draw(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Draws:
        """Run the guide, and the model on what it drew."""
        model_trace, guide_trace = next(iter(self._get_traces(model, guide, args, kwargs)))
        return Draws(model_trace, guide_trace, self.particles)

    def _get_trace(self, model: nn.Module, guide: nn.Module, args: Any, kwargs: Any) -> tuple[Trace, Trace]:
        return get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(particles={self.particles})"


class AbstractBound(AbstractObjective):
    """A lower bound on log p(x), in expectation, per sequence: `Terms.bound` of every one can stand in a table."""


class Draws:
    """The samples of one pass through guide and model, and the log-densities there, each of shape (S, B)."""

    def __init__(self, model_trace: Trace, guide_trace: Trace, particles: int) -> None:
        self.particles = particles
        self.observed = [site for site in _sites(model_trace) if site["is_observed"]]
        prior = {site["name"]: site for site in _sites(model_trace) if not site["is_observed"]}
        self.latent = [(site, prior.get(site["name"])) for site in _sites(guide_trace)]
        if not self.observed:
            raise InputError("nothing is observed: give the model its data, as x=...")
        if torch.is_grad_enabled():
            self._check_reparameterised()
        for name in prior.keys() - {site["name"] for site, _ in self.latent}:
            raise InputError(f"the guide does not sample the model's site {name!r}: add pyro.sample({name!r}, ...)")

    def log_likelihood(self) -> Tensor:
        """log p(x | z), shape (S, B)."""
        return sum((self._per_particle(site["log_prob"]) for site in self.observed), torch.tensor(0.0))

    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z), shape (S, B)."""
        log_w = self.log_likelihood()
        for q, p in self.latent:
            log_w = log_w - self._per_particle(q["log_prob"])
            if p is not None:
                log_w = log_w + self._per_particle(p["log_prob"])
        return log_w

    def kl(self, closed_form: bool = True) -> Divergence:
        """KL(q || p) over all latent sites, shape (S, B); zero, and exact, where there are none.

        A closed form serves a single site. Several may depend on one another, and the sum of their
        closed forms would then not be the KL: their samples estimate it. It knows nothing of `poutine.mask` either.
        """
        q, p = self.latent[0] if len(self.latent) == 1 else (None, None)
        if q is not None and p is not None and q["mask"] is None and p["mask"] is None:
            total, per_layer, exact = divergence(q["fn"], p["fn"], q["value"], closed_form)
            if per_layer is not None:
                per_layer = per_layer.expand(self.particles, *per_layer.shape[-2:])
            return Divergence(self._per_particle(total), per_layer, exact)
        estimate = self.log_likelihood() - self.log_weight()
        return Divergence(estimate, None, closed_form=not self.latent)

    def _check_reparameterised(self) -> None:
        for site, _ in self.latent:
            if not site["fn"].has_rsample and site["log_prob"].requires_grad:
                raise InputError(
                    f"the guide samples site {site['name']!r} from {type(site['fn']).__name__}, which cannot be "
                    "reparameterised, so this bound's gradient would be wrong: evaluate it under torch.no_grad(), "
                    "or use a guide whose distribution has rsample"
                )

    def _per_particle(self, values: Tensor) -> Tensor:
        return values.expand(self.particles, values.shape[-1])  # (B,) or (S, B) -> (S, B)


def _sites(trace: Trace) -> list[dict]:
    """The sample sites of a trace, each of them checked."""
    sites = [site for site in trace.nodes.values() if site["type"] == "sample"]
    for site in sites:
        if not any(frame.vectorized and frame.dim == -1 for frame in site["cond_indep_stack"]):
            raise InputError(
                f"site {site['name']!r} is outside the plate of sequences: a bound per sequence needs every "
                'site within pyro.plate("sequences", B, dim=-1)'
            )
        if not (isinstance(site["scale"], (int, float)) and site["scale"] == 1):
            raise InputError(
                f"the log-probability of site {site['name']!r} is scaled, so that nothing is bounded: "
                "use a plate of the batch's own size and scale the loss outside"
            )
    return sites
