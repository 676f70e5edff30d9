"""Options for fewer or cheaper fast steps, each with several numbers of steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.tokens.trained import Trained
from ltm_pyro import ELBO, FastLoop, MeanFieldGuide, MemoryGuide, NaturalGradient

CALM = partial(torch.optim.Adam, eps=0.5)  # of the default recipe: the step size depends on the gradient's size
VISITS = 3  # fits of a text by the earlier model before the timed fit


class Option(NamedTuple):
    """Option for the fit of q.

    Args:
        name: name in tables.
        loop: arguments of the fast loop.
        steps: numbers of steps to try.
        remembers: start q from the last fit by the earlier model.
    """

    name: str
    loop: dict[str, Any]
    steps: tuple[int, ...] = (1, 2, 3, 4, 8, 16)
    remembers: bool = False

    def candidates(self) -> list[Candidate]:
        """Candidates, one for each number of steps."""
        return [Candidate(self, number) for number in self.steps]


class Candidate(NamedTuple):
    """Option with a number of steps."""

    option: Option
    steps: int

    @property
    def name(self) -> str:
        return f"{self.option.name}, {self.steps} steps"

    def loop(self) -> FastLoop:
        return FastLoop(ELBO(), self.steps, **self.option.loop)

    def fitting(self, trained: Trained, x: Tensor) -> tuple[Callable[[], None], Any]:
        """Function that fits q to a batch at each call, and the guide that holds q."""
        z_shape, loop = trained.model.prior.z_shape, self.loop()
        if not self.option.remembers:
            guide: Any = MeanFieldGuide(z_shape)
            return lambda: loop.fit(trained.model, guide, x), guide
        guide = MemoryGuide(z_shape, capacity=len(x)).train()
        for _ in range(VISITS):
            loop.fit(trained.earlier, guide, x)
        return lambda: loop.fit(trained.model, guide, x), guide


FEW = (1, 2, 4, 8)
NATURAL = {"optimizer": NaturalGradient, "learning_rate": 0.3}

OPTIONS = (
    Option("where q starts", {}, (0,)),
    Option("Adam", {}),
    Option("Adam, eps 0.5", {"optimizer": CALM}),
    Option("natural gradient", NATURAL),
    Option("half of the tokens", {"optimizer": CALM, "tokens": 0.5}),
    Option("a quarter of the tokens", {"optimizer": CALM, "tokens": 0.25}),
    Option("natural, half of the tokens", {**NATURAL, "tokens": 0.5}),
    Option("natural, a quarter", {**NATURAL, "tokens": 0.25}),
    Option("memory", {"optimizer": CALM, "learning_rate": 0.1}, FEW, remembers=True),
    Option("memory, natural", {**NATURAL, "learning_rate": 0.1}, FEW, remembers=True),
    Option("early stopping", {"optimizer": CALM, "tolerance": 1.0, "patience": 2}, (8, 16)),
)
