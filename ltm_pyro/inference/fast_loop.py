"""Fast inference: fit the local posterior of every sequence of a batch, the weights held."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from copy import copy
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ltm_pyro.bounds import AbstractObjective, Terms
from ltm_pyro.errors import InputError
from ltm_pyro.freezing import frozen
from ltm_pyro.inference.batch import checked_batch
from ltm_pyro.inference.contracts import Guide, GuideOptimizer, guide_of, model_of
from ltm_pyro.inference.fused import fused
from ltm_pyro.inference.log_joint import LogJoint
from ltm_pyro.inference.objective import objective_for
from ltm_pyro.inference.observers import FastStep, Fit, StepObserver, Watch, WeightObserver
from ltm_pyro.inference.prefix_cache import PrefixCache
from ltm_pyro.inference.resting import Resting
from ltm_pyro.inference.unrolled_loop import UnrolledLoop
from ltm_pyro.instances import require_maker, require_method
from ltm_pyro.ranges import FINITE, POSITIVE, SHARE, SHARE_ABOVE_ZERO, bounded, whole
from ltm_pyro.recorded import Recorded


class FastLoop(Recorded):
    r"""T_fast steps on the local parameters γ alone, with fresh noise at each.

    .. math:: \gamma \leftarrow \gamma + \eta_s \nabla_\gamma\, \mathcal{L}(x;\gamma,\theta), \quad s = 1 \dots T_{fast}

    (Kong et al., 2025, arXiv 2502.01567, algorithm 1.) The optimizer starts anew with every batch. θ gets no
    gradient and none is computed, unless there is a `WeightObserver`. Nothing synchronises with the host, unless
    `tolerance` is given.

    Args:
        bound: what the loop maximises.
        steps: T_fast.
        learning_rate: of the first step; a guide may have a factor of its own on it, its `step_size`.
        final_fraction: the last step's learning rate as a fraction of the first's; a cosine leads there. 1 is constant.
        optimizer: makes the optimizer of γ, from its parameters and `lr`. No weight decay: it would be a hidden prior.
            A `GuideOptimizer` is handed the guide. A guide may have an optimizer of its own instead.
        tokens: share of the token positions that a step scores, drawn anew for each. Fewer make steps cheaper and
            noisier; the gradient stays unbiased.
        tolerance: stop moving a sequence once the mean of its objective over `patience` steps has risen by less
            than this many nats over the mean of the `patience` steps before; None takes all steps.
        patience: steps in each of the two means.

    Raises:
        InputError: for negative steps, a learning rate or patience that is not positive, or a bound that γ cannot
            follow.
    """

    @bounded(
        steps=whole(0),
        learning_rate=POSITIVE,
        final_fraction=SHARE,
        tokens=SHARE_ABOVE_ZERO,
        tolerance=FINITE,
        patience=whole(1),
    )
    def __init__(
        self,
        bound: AbstractObjective,
        steps: int = 16,
        learning_rate: float = 0.3,
        final_fraction: float = 0.1,
        optimizer: Callable[..., Optimizer] = torch.optim.Adam,
        tokens: float = 1.0,
        tolerance: float | None = None,
        patience: int = 4,
    ) -> None:
        require_method("bound", bound, "terms", "ELBO()")
        require_maker("optimizer", optimizer, "torch.optim.Adam")
        if steps < 0:
            raise InputError(f"steps={steps}: the fast loop takes 0 or more steps")
        if not learning_rate > 0 or not 0 <= final_fraction <= 1:
            raise InputError(
                f"learning_rate={learning_rate}, final_fraction={final_fraction}: "
                "expected a positive rate, and a fraction from 0 to 1"
            )
        if bound.refusal_of_fast_loop:
            raise InputError(bound.refusal_of_fast_loop)
        if not 0 < tokens <= 1:
            raise InputError(f"tokens={tokens}: expected a share of the positions above 0, up to 1 (all)")
        if tokens < 1 and not bound.linear:
            raise InputError(
                f"tokens={tokens} does not go with {bound.name}: from a part of the tokens a log-weight is estimated "
                "without bias, but no function of it that is not linear. Give 1, or ELBO() or KLWeighted() as the bound"
            )
        if patience < 1:
            raise InputError(f"patience={patience}: expected at least one step")
        self.bound, self.steps = bound, steps
        self.learning_rate, self.final_fraction = learning_rate, final_fraction
        self.optimizer, self.tokens = optimizer, tokens
        self.tolerance, self.patience = tolerance, patience

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        progress = step / max(1, self.steps - 1)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * (self.final_fraction + (1 - self.final_fraction) * cosine)

    def lasting(self, steps: int) -> FastLoop:
        """The same loop with another number of steps: inference-time compute is a dial."""
        loop = copy(self)
        loop.steps = steps
        return loop

    def fit(
        self,
        model: nn.Module,
        guide: nn.Module,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        observers: Iterable[StepObserver] = (),
        watch: Callable[[int, Terms], None] | None = None,
        **kwargs: Any,
    ) -> None:
        """Start the guide on a batch and fit its local parameters.

        Args:
            model, guide: as `contracts.Model` and `contracts.Guide` say; they share the site `z`.
            x: token ids of any integer type, shape (B, T).
            mask: True where a token is scored, shape (B, T).
            observers: are called around every step.
            watch: is told the number of each step, from 1, and what the bound was before it; what it reads from the
                device waits for that. An exception of its own ends the fit.
            kwargs: further arguments of model and guide.

        Raises:
            InputError: for a batch that is not the model's, or a guide that does not fit the model.
        """
        x, mask = checked_batch(model, guide, x, mask)
        prior, posterior = model_of(model).prior, guide_of(guide)
        with torch.no_grad():
            posterior.start(x, mask, prior=None if prior is None else prior())
        if posterior.local_parameters():
            watching = () if watch is None else (Watch(watch),)
            self._fit_local(model, guide, {"x": x, "mask": mask, **kwargs}, [*observers, *watching])
        with torch.enable_grad(), frozen(chain(model.parameters(), guide.parameters())):
            posterior.after_fit(LogJoint(model, x, mask, **kwargs))

    def make_optimizer(self, guide: nn.Module) -> Optimizer:
        """A fresh optimizer of the guide's local parameters, as the loop's user or the guide wants it."""
        posterior = guide_of(guide)
        make = posterior.fast_optimizer(self.optimizer)
        optimizer = fused(make(posterior.local_parameters(), lr=self.learning_rate))
        if isinstance(optimizer, GuideOptimizer):
            optimizer.attend(posterior)
        return optimizer

    def _fit_local(
        self, model: nn.Module, guide: nn.Module, batch: dict[str, Any], observers: Sequence[StepObserver]
    ) -> None:
        """Move the local parameters, with the observers around: first whether rows rest, last the way back."""
        learns = any(isinstance(observer, WeightObserver) for observer in observers)
        posterior = guide_of(guide)
        objective = self._objective_of(posterior)
        shared = PrefixCache(self.tokens, keep=not learns)

        def terms() -> Terms:
            with shared:
                return objective.terms(model, guide, **batch)

        # with many particles the objective is a mean over them, each of which moves for itself
        fit = Fit(model, posterior, self.bound, terms, posterior.fast_particles or 1, self.make_optimizer(guide))
        resting = [] if self.tolerance is None else [Resting(self.tolerance, self.patience)]
        refining = [UnrolledLoop(objective, fit)] if posterior.needs_unrolled else []
        observers = [*resting, *observers, *refining]
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            if not learns:
                stack.enter_context(frozen(chain(model.parameters(), guide.parameters())))
            for observer in observers:
                stack.enter_context(observer.around(fit))
            self._climb(fit, observers)

    def _climb(self, fit: Fit, observers: Sequence[StepObserver]) -> None:
        """Take the steps, γ ← γ + η_s ∇_γ L, until the last one or until no sequence moves any more."""
        factor = fit.guide.step_size
        for number in range(self.steps):
            step = FastStep(number)
            for group in fit.optimizer.param_groups:
                group["lr"] = self.rate(number) * factor
            fit.optimizer.zero_grad()
            for observer in observers:
                observer.before(step)
            step.terms = fit.terms()
            (-step.terms.objective.sum() * fit.times).backward()
            fit.optimizer.step()
            for observer in observers:
                observer.after(step)
            if step.at_rest:
                return

    def _objective_of(self, guide: Guide) -> AbstractObjective:
        objective, many = objective_for(guide, self.bound), guide.fast_particles
        return objective if many is None else objective.with_particles(many)

    def __repr__(self) -> str:
        return f"FastLoop({self.bound}, steps={self.steps}, learning_rate={self.learning_rate})"
