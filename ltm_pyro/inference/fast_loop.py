"""Fast inference: fit the local posterior of every sequence of a batch, the weights held."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
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
from ltm_pyro.inference.fused import fused
from ltm_pyro.inference.log_joint import LogJoint
from ltm_pyro.inference.objective import objective_for
from ltm_pyro.inference.refinement import Refinement
from ltm_pyro.inference.rows import by_sequence
from ltm_pyro.inference.shared_reading import SharedReading
from ltm_pyro.inference.trail import Trail
from ltm_pyro.instances import require_maker, require_method
from ltm_pyro.ranges import FINITE, POSITIVE, SHARE, SHARE_ABOVE_ZERO, bounded, whole
from ltm_pyro.recorded import Recorded


class FastLoop(Recorded):
    r"""T_fast steps on the local parameters γ alone, with fresh noise at each.

    .. math:: \gamma \leftarrow \gamma + \eta_s \nabla_\gamma\, \mathcal{L}(x;\gamma,\theta), \quad s = 1 \dots T_{fast}

    (Kong et al., 2025, arXiv 2502.01567, algorithm 1.) The optimizer starts anew with every batch. θ gets no
    gradient and none is computed, unless a `Trail` asks for it. Nothing synchronises with the host, unless `tolerance`
    is given.

    Args:
        bound: what the loop maximises.
        steps: T_fast.
        learning_rate: of the first step; a guide may have a factor of its own on it, its `step_size`.
        final_fraction: the last step's learning rate as a fraction of the first's; a cosine leads there. 1 is constant.
        optimizer: makes the optimizer of γ, from its parameters and `lr`. No weight decay: it would be a hidden prior.
            One that has a method `attend` is handed the guide. A guide may have an optimizer of its own instead.
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
        guide: Any,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        trail: Trail | None = None,
        watch: Callable[[int, Terms], None] | None = None,
        **kwargs: Any,
    ) -> None:
        """Start the guide on a batch and fit its local parameters.

        Args:
            model, guide: they share the site `z`.
            x: token ids of any integer type, shape (B, T).
            mask: True where a token is scored, shape (B, T).
            trail: gathers what each pass says to θ, for a `SlowStep(along=True)`.
            watch: is told the number of each step, from 1, and what the bound was before it; what it reads from the
                device waits for that. An exception of its own ends the fit.
            kwargs: further arguments of model and guide.

        Raises:
            InputError: for a batch that is not the model's, or a guide that does not fit the model.
        """
        x, mask = checked_batch(model, guide, x, mask)
        prior = getattr(model, "prior", None)
        with torch.no_grad():
            guide.start(x, mask, prior=None if prior is None else prior())
        held = frozen(chain(model.parameters(), guide.parameters()))
        if guide.local_parameters():
            with torch.enable_grad(), held if trail is None else trail.followed(self.bound, guide):
                self._move(model, guide, {"x": x, "mask": mask, **kwargs}, trail, watch)
        if hasattr(guide, "conclude"):
            with torch.enable_grad(), frozen(chain(model.parameters(), guide.parameters())):
                guide.conclude(LogJoint(model, x, mask, **kwargs))

    def make_optimizer(self, guide: Any) -> Optimizer:
        """A fresh one of the guide's local parameters, as its user or the guide wants it."""
        make = guide.fast_optimizer(self.optimizer) if hasattr(guide, "fast_optimizer") else self.optimizer
        optimizer = fused(make(guide.local_parameters(), lr=self.learning_rate))
        if hasattr(optimizer, "attend"):
            optimizer.attend(guide)
        return optimizer

    def _move(
        self,
        model: nn.Module,
        guide: Any,
        batch: dict[str, Any],
        trail: Trail | None = None,
        watch: Callable[[int, Terms], None] | None = None,
    ) -> None:
        local = guide.local_parameters()
        optimizer = self.make_optimizer(guide)
        bound, many = self._bound_of(guide), getattr(guide, "fast_particles", None)
        resting = _Resting(self.tolerance, self.patience) if self.tolerance is not None else None
        shared = SharedReading(self.tokens, keep=trail is None)

        def draw() -> Terms:
            with shared:
                return bound.terms(model, guide, **batch)

        refinement = Refinement(bound, draw, local, optimizer) if getattr(guide, "refines", False) else None
        for step in range(self.steps):
            for group in optimizer.param_groups:
                group["lr"] = self.rate(step) * getattr(guide, "step_size", 1.0)
            optimizer.zero_grad()
            if refinement is not None:
                refinement.begin()
            terms = draw()
            (-terms.objective.sum() * (many or 1)).backward()  # a mean over particles that move each for itself
            if trail is not None:
                trail.note(many or 1)
            moving = resting is None or resting.step(optimizer, local, terms.objective.detach())
            if resting is None:
                optimizer.step()
            if watch is not None:
                watch(step + 1, terms)
            if refinement is not None:
                refinement.end(terms, None if resting is None else resting.moves)
            if not moving:
                break
        if refinement is not None:
            optimizer.zero_grad()  # the slow step's gradient comes there next
            guide.attend(refinement)

    def _bound_of(self, guide: Any) -> AbstractObjective:
        bound, many = objective_for(guide, self.bound), getattr(guide, "fast_particles", None)
        return bound if many is None else bound.with_particles(many)

    def __repr__(self) -> str:
        return f"FastLoop({self.bound}, steps={self.steps}, learning_rate={self.learning_rate})"


class _Resting:
    """Keeps the sequences still whose objective no longer rises, each by its own alone."""

    def __init__(self, tolerance: float, patience: int) -> None:
        self.tolerance, self.patience = tolerance, patience
        self.history: deque[Tensor] = deque(maxlen=2 * patience)
        self.moves: Tensor | None = None  # (B,)

    def step(self, optimizer: Optimizer, local: Iterable[Tensor], objective: Tensor) -> bool:
        """Step the moving sequences; whether any still moves."""
        self.history.append(objective)
        if self.moves is None:
            self.moves = torch.ones_like(objective, dtype=torch.bool)
        if len(self.history) == 2 * self.patience:
            before, after = torch.stack(list(self.history)).unflatten(0, (2, -1)).mean(1)
            self.moves = self.moves & (after - before >= self.tolerance)
        rows = list(local)
        kept = [row.detach().clone() for row in rows]
        optimizer.step()
        with torch.no_grad():
            for row, old in zip(rows, kept, strict=True):
                row.copy_(torch.where(by_sequence(self.moves, row), row, old))
        return bool(self.moves.any())
