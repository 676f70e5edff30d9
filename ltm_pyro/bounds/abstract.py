"""The base classes of objectives and bounds: a `pyro.infer.ELBO` that works per sequence and names its terms."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import Any, ClassVar

import torch
from pyro.infer import ELBO as PyroELBO
from pyro.infer.enum import get_importance_trace
from pyro.poutine import Trace
from torch import Tensor, nn

from ltm_pyro.bounds.claim import Claim
from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.gradients.automatic import Automatic
from ltm_pyro.bounds.gradients.reparameterised import Reparameterised
from ltm_pyro.bounds.schedules import AbstractSchedule
from ltm_pyro.bounds.terms import Terms
from ltm_pyro.bounds.weights import effective_sample_size
from ltm_pyro.errors import InputError
from ltm_pyro.instances import require_instance
from ltm_pyro.ranges import bounded, whole
from ltm_pyro.recorded import Recorded


class AbstractObjective(Recorded, PyroELBO):
    """Variational objective with one value per sequence, for a model and a guide that share a plate of sequences.

    The plate is at dim -1 and contains every site; log-weights are never mixed across it. `bound(model, guide)` is a
    loss module as in Pyro; `bound.terms(model, guide, ...)` returns the objective and its parts. A subclass sets its
    own attributes before it calls `super().__init__`, which checks that the gradient estimator suits the objective.

    Args:
        particles: S, samples of z per sequence.
        gradient: the gradient estimator; if None, `Automatic` for a mean over particles, and `Reparameterised`
            for everything else.
        at_once: particles in one pass through the model; None takes all. Fewer need less memory and recompute the
            pass in `backward`; the samples, the values and the gradients are the same.

    Attributes:
        claim: the relation of the objective to log p(x).
        linear: whether it is a mean over particles, without importance weights.
        is_log_mean_weight: whether it is the log of the mean weight, as `ImportanceWeighted`.
        kl_weight: the factor on log q - log p(z) in every log-weight.
        closed_form_kl: whether an exact KL is used where there is one.
        descends: whether inference minimises it, as an upper bound.

    Raises:
        InputError: if S is too small, or the gradient estimator does not suit the objective; from `terms`, if a site is
            outside the plate of sequences or its log-probability is scaled (as by a subsampled plate), since then
            nothing is bounded.
    """

    claim: Claim = Claim.NONE
    linear: bool = False
    is_log_mean_weight: bool = False
    kl_weight: float = 1.0
    closed_form_kl: bool = True
    splits: ClassVar[bool] = False  # whether γ follows another function of the weights than θ
    least_particles: int = 1
    schedule: float | AbstractSchedule | None = None  # of an objective that changes as learning goes on

    @bounded(particles=whole(1), at_once=whole(1))
    def __init__(
        self, particles: int = 1, *, gradient: AbstractGradient | None = None, at_once: int | None = None
    ) -> None:
        if not isinstance(particles, int) or isinstance(particles, bool):
            raise InputError(f"particles={particles!r}: expected a whole number of samples of z")
        if gradient is not None:
            require_instance("gradient", gradient, AbstractGradient, "StickingTheLanding()")
        least = self.least_particles
        if particles < least:
            needs = "a bound needs at least one sample of z" if least == 1 else f"{self.name} needs at least {least}"
            raise InputError(f"particles={particles}: {needs}")
        if at_once is not None and at_once < 1:
            raise InputError(f"at_once={at_once}: expected one or more particles in a pass, or None for all")
        super().__init__(num_particles=particles, vectorize_particles=True, max_plate_nesting=1)
        self.particles, self.at_once = particles, at_once
        self.gradient = gradient or (Automatic() if self.linear and self.is_function_of_weights else Reparameterised())
        self.gradient.check(self)
        self.descends = self.claim.is_upper

    @abstractmethod
    def estimate(self, draws: Draws) -> Tensor:
        """Estimate of the objective from samples of z, shape (B,), differentiable in z."""

    def value(self, log_w: Tensor) -> Tensor:
        """The objective as a function of log-weights alone, (S, B) -> (B,); optional."""
        raise NotImplementedError

    def inference_value(self, log_w: Tensor) -> Tensor:
        """The objective of γ, (S, B) -> (B,); it differs from `value` only where `splits`."""
        return self.value(log_w)

    def terms(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Terms:
        """The objective and its parts, differentiable, shape (B,) each; arguments go to both model and guide."""
        draws = self.draw(model, guide, *args, **kwargs)
        estimate = self.estimate(draws)
        if torch.is_grad_enabled():
            estimate = self.gradient.attach(self, draws, estimate)
        kl = draws.kl(self.closed_form_kl)
        weighs = self.is_function_of_weights and not self.linear
        return Terms(
            objective=-estimate if self.descends else estimate,
            log_likelihood=draws.log_likelihood.mean(0),
            kl=kl.total.mean(0),
            kl_per_layer=None if kl.per_layer is None else kl.per_layer.mean(0),
            kl_closed_form=kl.closed_form,
            effective_sample_size=effective_sample_size(draws.log_weight.detach()) if weighs else None,
            bound=None if self.claim is Claim.NONE else estimate,
        )

    def differentiable_loss(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """The negative objective, summed over the batch, in nats: a scalar to call `backward` on.

        Raises:
            InputError: if the gradient estimator needs reparameterised samples, and a site of the guide has none.
        """
        return -self.terms(model, guide, *args, **kwargs).objective.sum()

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
        """Run the guide, and the model on the guide's samples."""
        cut = self.gradient.cuts and torch.is_grad_enabled()
        draws = Draws(model, guide, args, kwargs, self.particles, self.at_once, cut, self.kl_weight, self.check_site)
        if torch.is_grad_enabled() and not self.gradient.cuts:
            draws.check_reparameterised()
        return draws

    def check_site(self, site: dict) -> None:
        """Check a site against the claim, before its density is computed.

        A distribution of the model may have an attribute `density` if its `log_prob` is not exact, and a method
        `for_learning` that gives the distribution to learn by; a guide's may have `relaxed` samples.

        Raises:
            InputError: if the claim is not valid with the site's density or samples.
        """
        fn = site["fn"]
        base = getattr(fn, "base_dist", fn)
        if self.claim is Claim.NONE:
            site["fn"] = fn.for_learning() if hasattr(fn, "for_learning") else fn
            return
        density, reason = getattr(fn, "density", None), None
        if getattr(base, "relaxed", False):
            reason = (
                "the guide draws relaxed codes, which the model never draws: call guide.eval() for codes, or learn by "
                "KLWeighted(1.0), which claims nothing"
            )
        elif density is not None:
            upper = self.claim in (Claim.UPPER, Claim.UPPER_IN_THE_LIMIT)
            reason = density.refusal(linear=self.linear, upper=upper)
        if reason:
            name = getattr(base, "name", type(base).__name__)
            raise InputError(f"{self.name} does not go with {name} at site {site['name']!r}: {reason}")

    def begin(self, step: int) -> None:
        """Hook called before each batch with the number of slow steps taken: for objectives with a schedule."""

    def spread_over(self, steps: int | None) -> None:
        """Hook called with the number of slow steps of the run, or None if unknown: for schedules by shares of it."""
        if isinstance(self.schedule, AbstractSchedule):
            self.schedule.spread_over(steps)

    def schedule_end(self) -> int:
        """Number of slow steps until the last change of its schedule; 0 without a schedule."""
        return self.schedule.duration() if isinstance(self.schedule, AbstractSchedule) else 0

    def scheduled_over(self, steps: int, step: int) -> float | None:
        """Value of its schedule after a slow step if the schedule is spread over `steps`; None without a schedule."""
        if not isinstance(self.schedule, AbstractSchedule):
            return None
        schedule = copy(self.schedule)
        schedule.spread_over(steps)
        return schedule.at(step)

    def unreached(self, steps: int) -> str:
        """One line for a schedule that ends after a run of `steps` slow steps; empty if none does."""
        if not isinstance(self.schedule, AbstractSchedule) or self.schedule.duration() <= steps:
            return ""
        return (
            f"{self.name} does not reach the end of its {self.schedule!r}, which takes {self.schedule.duration():,} "
            f"slow steps: the run has {steps:,} and ends at {self.schedule.at(steps - 1):.3g}"
        )

    def without_claim(self) -> AbstractObjective:
        """The same objective without a claim, for learning alone: any density will do."""
        objective = copy(self)
        objective.claim = Claim.NONE
        return objective

    def with_particles(self, particles: int) -> AbstractObjective:
        """The same objective with another number of independent particles.

        Raises:
            InputError: for an objective with importance weights, in which particles are not independent.
        """
        if self.is_function_of_weights and not self.linear:
            raise InputError(
                f"{self.name} weighs samples of z against one another, but the points of this guide are independent: "
                "take ELBO() or KLWeighted() in the fast loop"
            )
        objective = copy(self)
        objective.particles = objective.num_particles = particles
        return objective

    @property
    def is_function_of_weights(self) -> bool:
        """Whether `value` is defined, as every gradient estimator but `Reparameterised` needs."""
        return type(self).value is not AbstractObjective.value

    @abstractmethod
    def as_bound(self) -> AbstractBound:
        """The bound for which tables fit q in place of this objective: itself if it is a bound."""

    @property
    def name(self) -> str:
        """The name of the objective in tables."""
        return type(self).__name__

    @property
    def refusal_of_fast_loop(self) -> str | None:
        """The reason why γ cannot be fitted to this objective; None if it can."""
        return None

    def refusal_of_refinement(self, terms: Terms) -> str | None:
        """The reason why these terms cannot be differentiated through a fast loop; None if they can."""
        if self.gradient.is_derivative(terms.kl_closed_form):
            return None
        sampled = "" if terms.kl_closed_form else ", the KL being sampled,"
        return (
            f"{self.gradient}{sampled} gives no derivative of {self.name} at fixed noise, so that the fast loop cannot "
            "be differentiated: give the fast loop's bound gradient=Reparameterised()"
        )

    @property
    def refusal_of_slow_step(self) -> str | None:
        """The reason why θ cannot be learned by this objective; None if it can."""
        if self.claim.is_upper:
            return (
                f"{self.name} is an {self.claim.value}, which is minimised: over the model's weights that would make "
                "texts less probable. Use it in the fast loop, and a lower bound here"
            )
        return None

    def _get_trace(self, model: nn.Module, guide: nn.Module, args: Any, kwargs: Any) -> tuple[Trace, Trace]:
        # required by Pyro's base class for its `_get_traces`
        return get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)

    def __repr__(self) -> str:
        gradient = "" if type(self.gradient) in (Automatic, Reparameterised) else f", gradient={self.gradient}"
        return f"{self.name}({self.extra_repr()}particles={self.particles}{gradient})"

    def extra_repr(self) -> str:
        """The subclass's arguments in `repr`, each followed by a comma and a space."""
        return ""


class AbstractBound(AbstractObjective):
    """Bound on log p(x), or estimate of it, as a function of log-weights; `claim` is the kind.

    A subclass is its equation, `value`; every gradient estimator then works with it.
    """

    claim = Claim.LOWER

    @abstractmethod
    def value(self, log_w: Tensor) -> Tensor:
        """The bound from log w = log p(x, z) - log q(z), (S, B) -> (B,), in nats."""

    def estimate(self, draws: Draws) -> Tensor:
        return self.value(draws.log_weight)

    def as_bound(self) -> AbstractBound:
        return self
