"""What the passes of a fast loop say to the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ltm_pyro.bounds import AbstractObjective
from ltm_pyro.errors import InputError


class Trail:
    """The gradients of the weights in all passes of one fast loop, added up beside those that the weights hold.

    Args:
        weights: what learns.

    Attributes:
        passes: of the fast loop.
    """

    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        self.weights, self.passes, self.times = weights, 0, 1
        self._sums: list[Tensor | None] = [None] * len(weights)

    @contextmanager
    def followed(self, bound: AbstractObjective, guide: Any) -> Iterator[None]:
        """Within, what `backward` brings to the weights is kept here; what they held before comes back.

        Args:
            bound: whose gradient it is.
            guide: whose local parameters the passes move.

        Raises:
            InputError: if the weights cannot follow this bound, or the guide follows the loop itself.
        """
        if reason := refusal_of_trail(bound, guide):
            raise InputError(reason)
        before = [weight.grad for weight in self.weights]
        for weight in self.weights:
            weight.grad = None
        try:
            yield
            self._sums = [weight.grad for weight in self.weights]
        finally:
            for weight, gradient in zip(self.weights, before, strict=True):
                weight.grad = gradient

    def note(self, times: int = 1) -> None:
        """Count a pass, whose loss was taken so many times."""
        self.passes, self.times = self.passes + 1, times

    @torch.no_grad()
    def join(self, tokens: Tensor | int) -> None:
        """Add to the weights' gradients the passes' own, each with a share as large as that of the loop's end.

        Args:
            tokens: scored in the whole batch, by which losses are divided.
        """
        for weight, total in zip(self.weights, self._sums, strict=True):
            if total is not None:
                share = total / (tokens * self.times * (self.passes + 1))
                weight.grad = share if weight.grad is None else weight.grad + share
        self._sums = [None] * len(self.weights)


def refusal_of_trail(bound: AbstractObjective, guide: Any) -> str | None:
    """Why the weights cannot learn along a fast loop; None where they can."""
    if getattr(guide, "refines", False):
        return (
            f"slow.along does not go with {type(guide).__name__}, which follows the fast loop back to its start: "
            "let it learn with through='own', or leave slow.along out"
        )
    if bound.refusal_of_slow_step:
        return f"slow.along lets the weights follow the fast loop's bound too: {bound.refusal_of_slow_step}"
    return None
