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
from ltm_pyro.inference.batch import checked_batch
from ltm_pyro.inference.contracts import guide_of
from ltm_pyro.inference.fused import fused
from ltm_pyro.inference.objective import objective_for
from ltm_pyro.inference.observers import WeightObserver
from ltm_pyro.inference.process_group import DistributedWeights, ProcessGroup
from ltm_pyro.instances import require_maker, require_method
from ltm_pyro.ranges import NOT_NEGATIVE, POSITIVE, SHARE, SHARE_BELOW_ONE, bounded, whole
from ltm_pyro.recorded import Recorded


class NonFiniteError(ArithmeticError):
    """The loss or its gradient is NaN or infinite; the weights have not been touched.

    Attributes:
        terms: the terms of the batch, to see which sequences they are.
    """

    def __init__(self, what: str, terms: Terms) -> None:
        super().__init__(f"{what} is not finite")
        self.what, self.terms = what, terms


class SlowStep(Recorded):
    r"""One step of AdamW on θ: the weights of the model, of its prior, and the guide's global ones.

    The loss is the fast loop's, in nats, divided by the number of scored tokens, so that clipping and learning
    rate mean the same for every batch. The rate rises linearly, then falls as a cosine. Weight decay acts on
    matrices only.

    The gradient is taken at the end of the fast loop, :math:`\gamma_T`.

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
        observer: an observer of the fast loops before the steps, from which θ learns too.

    Raises:
        InputError: for a learning rate that is not positive, or a bound that θ cannot follow.
    """

    @bounded(
        learning_rate=POSITIVE,
        steps=whole(1),
        warmup=whole(0),
        final_fraction=SHARE,
        weight_decay=NOT_NEGATIVE,
        betas=SHARE_BELOW_ONE,
        clip=NOT_NEGATIVE,
    )
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
        observer: WeightObserver | None = None,
    ) -> None:
        require_method("bound", bound, "terms", "ELBO()")
        require_maker("optimizer", optimizer, "torch.optim.AdamW")
        if not learning_rate > 0:
            raise InputError(f"learning_rate={learning_rate}: expected a positive number")
        if bound.refusal_of_slow_step:
            raise InputError(bound.refusal_of_slow_step)
        self.bound, self.learning_rate = bound, learning_rate
        self.steps, self.warmup, self.final_fraction = steps, warmup, final_fraction
        self.weight_decay, self.betas, self.clip = weight_decay, betas, clip
        self.make_optimizer, self.observer = optimizer, observer
        self.taken = 0
        self._loss: Tensor | None = None
        self.distributed: DistributedWeights | None = None

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.rate_over(self.steps, step)

    def rate_over(self, steps: int | None, step: int) -> float:
        """The learning rate of a step, counted from 0, if the schedule lasts `steps` steps."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if steps is None:
            return self.learning_rate
        progress = min(1.0, (step - self.warmup) / max(1, steps - 1 - self.warmup))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * (self.final_fraction + (1 - self.final_fraction) * cosine)

    def unreached(self) -> str:
        """One line on a rise that lasts as long as the whole run; mostly nothing."""
        if self.steps is None or self.warmup < self.steps:
            return ""
        share = self.rate(self.steps - 1) / self.learning_rate
        return (
            f"slow.warmup={self.warmup:,} is as long as the run of {self.steps:,} slow steps: the learning rate only "
            f"comes to {share:.0%} of slow.learning_rate, and does not fall"
        )

    def prepare(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make the optimizer of these parameters; steps taken before are forgotten."""
        # each once: a guide may share parameters with the model
        self.parameters = list(dict.fromkeys(parameter for parameter in parameters if parameter.requires_grad))
        groups = [
            {"params": [p for p in self.parameters if p.dim() >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = fused(
            self.make_optimizer([group for group in groups if group["params"]], lr=self.learning_rate, betas=self.betas)
        )
        self.taken, self.distributed = 0, None

    def distribute(self, weights: DistributedWeights) -> None:
        """Make the optimizer anew, of weights that several processes move together."""
        self.prepare(weights.parameters())
        self.distributed = weights

    def step(self, model: nn.Module, guide: nn.Module, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> Terms:
        """Move θ by one step, and say where the batch stood before it.

        Args:
            model, guide: the guide as the fast loop left it.
            x, mask, kwargs: the batch, as in `FastLoop.fit`.

        Raises:
            NonFiniteError: before anything has moved.
        """
        self.begin()
        terms = self.gradient(model, guide, x, mask, **kwargs)
        self.apply(terms)
        return terms

    def begin(self) -> None:
        """Forget the gradients of the step before."""
        self.optimizer.zero_grad()
        self._loss = None

    def gradient(
        self,
        model: nn.Module,
        guide: nn.Module,
        x: Tensor,
        mask: Tensor | None = None,
        tokens: Tensor | int | None = None,
        observers: Iterable[WeightObserver] = (),
        **kwargs: Any,
    ) -> Terms:
        """Add what a batch, or a slice of one, has to say to the gradients; nothing moves.

        Args:
            model, guide, x, mask, kwargs: as in `step`.
            tokens: how many are scored in the whole batch, so that its slices' gradients add up to its own; None where
                this is the whole batch.
            observers: of the fast loop on it.
        """
        x, mask = checked_batch(model, guide, x, mask)
        posterior = guide_of(guide)
        with torch.enable_grad(), frozen([] if posterior.needs_unrolled else posterior.local_parameters()):
            bound = objective_for(posterior, self.bound)
            terms = bound.terms(model, guide, x=x, mask=mask, **kwargs)
            if tokens is None:
                tokens = x.numel() if mask is None else mask.sum()
            loss = -terms.objective.sum() / tokens
            if loss.requires_grad:  # the model may be held, and the guide may learn by its own backward pass
                weighed = loss
                for observer in observers:
                    weighed = observer.weigh(weighed)
                weighed.backward()
        for observer in observers:
            observer.learned(tokens)
        with torch.enable_grad(), frozen(model.parameters()):
            posterior.backward_guide(
                lambda: -bound.terms(model, guide, x=x, mask=mask, **kwargs).objective.sum() / tokens
            )
        self._loss = loss.detach() if self._loss is None else self._loss + loss.detach()
        return terms.detach()

    def apply(self, terms: Terms, others: ProcessGroup | None = None) -> None:
        """Step along the gradients that have been added up.

        Args:
            terms: of the whole batch, for the error.
            others: the processes that have worked on other slices of the batch; gradients are summed over all.

        Raises:
            NonFiniteError: before anything has moved, in all processes alike.
        """
        assert self._loss is not None
        loss = self._loss if others is None else self._synchronised(self._loss, others)
        norm = self._clipped()
        if not torch.isfinite(loss + norm):  # the one look at the device in a step
            what = "the gradient of the objective" if torch.isfinite(loss) else "the objective"
            raise NonFiniteError(what, terms)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.taken)
        if self.distributed is None:
            self.optimizer.step()
        else:
            self.distributed.step(self.optimizer)
        self.taken += 1

    def _synchronised(self, loss: Tensor, others: ProcessGroup) -> Tensor:
        """The loss of all processes, whose gradients are summed in place.

        A weight that no process has a gradient for keeps none: the optimizer leaves it alone, as in a single process.
        """
        weights = self.parameters if self.distributed is None else self.distributed.parameters()
        told = torch.tensor([0.0, *(weight.grad is not None for weight in weights)]).to(loss)
        told[0] = loss
        others.add_up([told])
        for weight, somewhere in zip(weights, (told[1:] > 0).tolist(), strict=True):
            if somewhere and weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        if self.distributed is None:
            others.add_up([weight.grad for weight in weights if weight.grad is not None])
        else:
            self.distributed.reduce()
        return told[0]

    def _clipped(self) -> Tensor:
        """The norm of the gradient, which is clipped."""
        largest = self.clip or math.inf
        if self.distributed is None:
            return nn.utils.clip_grad_norm_(self.parameters, largest)
        return self.distributed.clip(largest)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs: the optimizer's state and the schedule's place."""
        return {"optimizer": self.optimizer.state_dict(), "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.taken = state["taken"]
