"""Slow learning: one step on the weights at the fitted posterior."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ltm_pyro.bounds import AbstractObjective, Terms
from ltm_pyro.errors import InputError
from ltm_pyro.freezing import frozen
from ltm_pyro.inference.objective import objective_for


class NonFiniteError(ArithmeticError):
    """The loss or its gradient is NaN or infinite; the weights have not been touched.

    Attributes:
        terms: the terms of the batch, to see which sequences they are.
    """

    def __init__(self, what: str, terms: Terms) -> None:
        super().__init__(f"{what} is not finite")
        self.what, self.terms = what, terms


class SlowStep:
    """One step of AdamW on θ: the weights of the model, of its prior, and the guide's global ones.

    The loss is the fast loop's, in nats, divided by the number of scored tokens, so that clipping and learning
    rate mean the same for every batch. The rate rises linearly, then falls as a cosine. Weight decay acts on
    matrices only.

    Args:
        bound: what the step maximises.
        learning_rate: the highest.
        steps: how many steps the schedule lasts; None keeps the rate after the rise.
        warmup: steps of the rise.
        final_fraction: the last rate as a fraction of the highest.
        weight_decay: of matrices.
        betas: of AdamW.
        clip: the largest norm of the gradient; 0 does not clip.
        optimizer: makes the optimizer, from parameter groups, `lr`, `betas`.

    Raises:
        InputError: for a learning rate that is not positive, or a bound that θ cannot follow.
    """

    def __init__(
        self,
        bound: AbstractObjective,
        learning_rate: float = 4e-4,
        steps: int | None = None,
        warmup: int = 0,
        final_fraction: float = 0.1,
        weight_decay: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.95),
        clip: float = 1.0,
        optimizer: Callable[..., Optimizer] = torch.optim.AdamW,
    ) -> None:
        if not learning_rate > 0:
            raise InputError(f"learning_rate={learning_rate}: expected a positive number")
        if bound.refusal_of_slow_step:
            raise InputError(bound.refusal_of_slow_step)
        self.bound, self.learning_rate = bound, learning_rate
        self.steps, self.warmup, self.final_fraction = steps, warmup, final_fraction
        self.weight_decay, self.betas, self.clip = weight_decay, betas, clip
        self.make_optimizer = optimizer
        self.taken = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.steps is None:
            return self.learning_rate
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - 1 - self.warmup))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * (self.final_fraction + (1 - self.final_fraction) * cosine)

    def prepare(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make the optimizer of these parameters; steps taken before are forgotten."""
        # each once: a guide may share parameters with the model
        self.parameters = list(dict.fromkeys(parameter for parameter in parameters if parameter.requires_grad))
        groups = [
            {"params": [p for p in self.parameters if p.dim() >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = self.make_optimizer(
            [group for group in groups if group["params"]], lr=self.learning_rate, betas=self.betas
        )
        self.taken = 0

    def step(self, model: nn.Module, guide: Any, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> Terms:
        """Move θ by one step, and say where the batch stood before it.

        Args:
            model, guide: the guide as the fast loop left it.
            x, mask, kwargs: the batch, as in `FastLoop.fit`.

        Raises:
            NonFiniteError: before anything has moved.
        """
        self.optimizer.zero_grad()
        refines = getattr(guide, "refines", False)
        with torch.enable_grad(), frozen([] if refines else guide.local_parameters()):
            bound = objective_for(guide, self.bound)
            terms = bound.terms(model, guide, x=x, mask=mask, **kwargs)
            tokens = x.numel() if mask is None else mask.sum()
            loss = -terms.objective.sum() / tokens
            if loss.requires_grad:  # the model may be held while a guide learns, and the guide by its own lesson alone
                loss.backward()
        if hasattr(guide, "teach"):
            with torch.enable_grad(), frozen(model.parameters()):
                guide.teach(lambda: -bound.terms(model, guide, x=x, mask=mask, **kwargs).objective.sum() / tokens)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip or math.inf)
        if not torch.isfinite(loss.detach() + norm):  # the one look at the device in a step
            what = "the gradient of the objective" if torch.isfinite(loss) else "the objective"
            raise NonFiniteError(what, terms.detach())
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.taken)
        self.optimizer.step()
        self.taken += 1
        return terms.detach()

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs: the optimizer's state and the schedule's place."""
        return {"optimizer": self.optimizer.state_dict(), "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.taken = state["taken"]
