"""Observers of inference on one batch: what is done around the fast loop's steps beside moving γ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from ltm_pyro.bounds import AbstractObjective, Terms
from ltm_pyro.inference.contracts import Guide
from ltm_pyro.recorded import Recorded


class Fit(NamedTuple):
    """A fast loop on one batch.

    Attributes:
        model, guide: the guide has started on the batch.
        bound: what the user of the loop has asked it to maximise.
        terms: draws the terms of what the loop maximises, with fresh noise, at the local parameters as they stand.
        times: the factor on the objective whose gradient γ follows.
        optimizer: of the local parameters.
    """

    model: nn.Module
    guide: Guide
    bound: AbstractObjective
    terms: Callable[[], Terms]
    times: int
    optimizer: Optimizer


@dataclass
class FastStep:
    """One step of a fast loop.

    Attributes:
        number: of the step, from 0.
        terms: of the step; None before they are drawn.
        moves: the sequences that still move, shape (B,); None for all. An observer may set it in `after`: the loop
            ends where none is left.
    """

    number: int
    terms: Terms | None = None
    moves: Tensor | None = None

    @property
    def at_rest(self) -> bool:
        """Whether no sequence moves any more; the host waits for the device only where `moves` is set."""
        return self.moves is not None and not self.moves.any()


class StepObserver:
    """An observer of the fast loop's steps. Each method does nothing unless it is overridden."""

    def around(self, fit: Fit) -> AbstractContextManager[None]:
        """A context around all steps of a fast loop; not entered where the guide has no local parameters."""
        return nullcontext()

    def before(self, step: FastStep) -> None:
        """Called before a step's noise is drawn, the gradients of the last step forgotten."""

    def after(self, step: FastStep) -> None:
        """Called after the optimizer's step; the local parameters still hold the gradients that it followed."""


class WeightObserver(Recorded, StepObserver, ABC):
    """An observer from which the weights learn, in the fast loop and in the slow step behind it.

    With one, θ gets gradients in every pass of the fast loop, each of which reads the text anew. They are added to
    those that θ holds, unless the observer takes them away. It keeps nothing from one slow step to the next, so that no
    checkpoint holds it.
    """

    def weigh(self, loss: Tensor) -> Tensor:
        """The slow step's loss on the batch, as its gradient is taken."""
        return loss

    @abstractmethod
    def learned(self, tokens: Tensor | int) -> None:
        """Called when θ holds the gradient of that loss, beside those of earlier slices.

        Args:
            tokens: scored in the whole batch, by which losses are divided.
        """


class Watch(StepObserver):
    """Calls a function with each step's number, from 1, and its terms."""

    def __init__(self, function: Callable[[int, Terms], None]) -> None:
        self.function = function

    def after(self, step: FastStep) -> None:
        assert step.terms is not None
        self.function(step.number + 1, step.terms)
