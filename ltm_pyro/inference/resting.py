"""Early stopping of the fast loop, for each sequence by its own objective."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ltm_pyro.inference.observers import FastStep, Fit, StepObserver
from ltm_pyro.inference.rows import by_sequence


class Resting(StepObserver):
    """Early stopping: sequences whose objective no longer rises are no longer updated.

    Args:
        tolerance: the least rise, in nats, of the mean objective over `patience` steps over that of the `patience`
            steps before.
        patience: steps in each of the two means.
    """

    def __init__(self, tolerance: float, patience: int) -> None:
        self.tolerance, self.patience = tolerance, patience
        self.history: deque[Tensor] = deque(maxlen=2 * patience)
        self.moves: Tensor | None = None  # (B,)

    @contextmanager
    def around(self, fit: Fit) -> Iterator[None]:
        self.local = fit.guide.local_parameters()
        yield

    def before(self, step: FastStep) -> None:
        self.kept = [row.detach().clone() for row in self.local]

    def after(self, step: FastStep) -> None:
        assert step.terms is not None
        step.moves = self.moves = self._moving(step.terms.objective.detach())
        with torch.no_grad():
            for row, old in zip(self.local, self.kept, strict=True):
                row.copy_(torch.where(by_sequence(self.moves, row), row, old))

    def _moving(self, objective: Tensor) -> Tensor:
        """Mask of the sequences whose objective still rises, shape (B,)."""
        self.history.append(objective)
        moves = torch.ones_like(objective, dtype=torch.bool) if self.moves is None else self.moves
        if len(self.history) < 2 * self.patience:
            return moves
        before, after = torch.stack(list(self.history)).unflatten(0, (2, -1)).mean(1)
        return moves & (after - before >= self.tolerance)
