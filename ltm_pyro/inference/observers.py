"""Observers of the fast loop: callbacks around its steps."""

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
    """State of a fast loop on one batch.

    Attributes:
        model, guide: model and guide; the guide has started on the batch.
        bound: the objective as the user gave it.
        terms: returns the terms of the loop's actual objective, with fresh noise, at the current local parameters.
        times: the factor on the objective in the gradient of γ.
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
    """State of one step of a fast loop.

    Attributes:
        number: the number of the step, from 0.
        terms: the terms of the step; None before they are computed.
        moves: mask of the sequences that still move, shape (B,); None for all. An observer may set it in `after`; the
            loop ends when no sequence moves.
    """

    number: int
    terms: Terms | None = None
    moves: Tensor | None = None

    @property
    def at_rest(self) -> bool:
        """Whether no sequence moves any more; the host waits for the device only if `moves` is set."""
        return self.moves is not None and not self.moves.any()


class StepObserver:
    """Observer of the fast loop's steps. Each method does nothing unless overridden."""

    def around(self, fit: Fit) -> AbstractContextManager[None]:
        """Context around all steps of a fast loop; not entered if the guide has no local parameters."""
        return nullcontext()

    def before(self, step: FastStep) -> None:
        """Hook called before a step's noise is drawn, with the last step's gradients cleared."""

    def after(self, step: FastStep) -> None:
        """Hook called after the optimizer's step; the local parameters still have its gradients."""


class WeightObserver(Recorded, StepObserver, ABC):
    """Observer that contributes to the gradients of the weights, in the fast loop and in the slow step after it.

    With such an observer, θ gets gradients in every pass of the fast loop, without cached prefix states. They are added
    to θ's gradients, unless the observer removes them. An observer has no state between slow steps, so that checkpoints
    do not contain it.
    """

    def weigh(self, loss: Tensor) -> Tensor:
        """The slow step's loss on the batch, with any change before its gradient is computed."""
        return loss

    @abstractmethod
    def learned(self, tokens: Tensor | int) -> None:
        """Hook called when the gradient of that loss has been added to θ's, which include those of earlier slices.

        Args:
            tokens: number of scored tokens in the whole batch, by which losses are divided.
        """


class Watch(StepObserver):
    """Observer that calls a function with each step's number, from 1, and its terms."""

    def __init__(self, function: Callable[[int, Terms], None]) -> None:
        self.function = function

    def after(self, step: FastStep) -> None:
        assert step.terms is not None
        self.function(step.number + 1, step.terms)
