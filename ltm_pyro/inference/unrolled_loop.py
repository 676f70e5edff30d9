"""Reverse-mode differentiation through a fast loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from ltm_pyro.bounds import AbstractObjective
from ltm_pyro.errors import InputError
from ltm_pyro.inference.observers import FastStep, Fit, StepObserver
from ltm_pyro.inference.rows import by_sequence
from ltm_pyro.inference.updates import differentiable_step

Rows = list[Tensor]


class UnrolledLoop(StepObserver):
    r"""Unrolled fast loop: its recorded steps on one batch, and reverse-mode differentiation through them.

    .. math:: (\gamma_{s+1}, m_{s+1}) = U(\gamma_s, g_s, m_s), \qquad
              \bar\gamma_s = \partial_\gamma U^\top \bar u + H_s\, \partial_g U^\top \bar u, \qquad
              \bar u = (\bar\gamma_{s+1}, \bar m_{s+1})

    where U is the optimizer's update, m its moments, and :math:`H_s` the Hessian of the loop's loss, at the noise of
    that step (Kim et al., 2018, arXiv 1802.02550, algorithm 2). The product with :math:`H_s` is a
    central difference of gradients at that noise: two passes through the model for every step, and no second
    derivative, which fused kernels do not have. U is differentiated exactly, for SGD and for Adam.

    Args:
        objective: the objective of the loop.
        fit: the loop on the batch.

    Raises:
        InputError: for an optimizer other than SGD or Adam; from `after`, for a gradient that is no derivative.
    """

    def __init__(self, objective: AbstractObjective, fit: Fit) -> None:
        self.objective, self.terms, self.optimizer = objective, fit.terms, fit.optimizer
        self.local: Rows = list(fit.guide.local_parameters())
        self.update = differentiable_step(fit.optimizer)
        self._steps: list[_Step] = []

    @contextmanager
    def around(self, fit: Fit) -> Iterator[None]:
        """Context around the loop, which passes the recorded steps to the guide at the end."""
        yield
        self.optimizer.zero_grad()  # before the slow step's gradient
        fit.guide.set_unrolled(self)

    def before(self, step: FastStep) -> None:
        """Record the rows and the random state before a step."""
        self._before, self._noise = [row.detach().clone() for row in self.local], _Noise(self.local[0].device)

    def after(self, step: FastStep) -> None:
        """Record a step, from the gradients of the rows."""
        assert step.terms is not None
        reason = self.objective.refusal_of_refinement(step.terms)
        if reason:
            raise InputError(f"{reason}; or let the encoder learn with through='own'")
        slopes = _filled([row.grad for row in self.local], self.local)
        rate = self.optimizer.param_groups[0]["lr"]
        moves = None if step.moves is None else step.moves.clone()
        self._steps.append(_Step(self._before, self._noise, slopes, rate, moves))

    def backward(self, slopes: Sequence[Tensor | None]) -> Rows:
        """Gradient of a loss in the initial rows, from that in the final rows.

        The `grad` of rows and weights is unchanged. The rows must require gradients.
        """
        at_end, moments = _filled(slopes, self.local), self._moments()
        carried = [[torch.zeros_like(row)] * self.update.moments for row in self.local]
        for number in reversed(range(len(self._steps))):
            at_end, carried = self._back(number, at_end, carried, moments[number])
        return at_end

    def _moments(self) -> list[list[Rows]]:
        """The optimizer's moments before every step: by step, then by row."""
        history = [[[torch.zeros_like(row)] * self.update.moments for row in self.local]]
        for number, step in enumerate(self._steps):
            moved = [
                self.update.rule(row, slope, moments, number, step.rate)
                for row, slope, moments in zip(step.rows, step.slopes, history[-1], strict=True)
            ]
            history.append([list(moments) for _, *moments in moved])
        return history

    def _back(self, number: int, slopes: Rows, carried: list[Rows], moments: list[Rows]) -> tuple[Rows, list[Rows]]:
        """Gradients in the rows and moments before a step, from those in the rows and moments after it."""
        step, direct, by_slope, by_moments = self._steps[number], [], [], []
        for index, row in enumerate(step.rows):
            inputs = [part.detach().requires_grad_() for part in (row, step.slopes[index], *moments[index])]
            moved, *after = self.update.rule(inputs[0], inputs[1], inputs[2:], number, step.rate)
            if step.moves is not None:
                moved = torch.where(by_sequence(step.moves, row), moved, inputs[0])
            outputs, weights = [moved, *after], [slopes[index], *carried[index]]
            gradients = torch.autograd.grad(outputs, inputs, weights, allow_unused=True)
            first, second, *rest = _filled(gradients, inputs)
            direct.append(first)
            by_slope.append(second)
            by_moments.append(rest)
        products = self._curvature_along(step, by_slope)
        return [first + product for first, product in zip(direct, products, strict=True)], by_moments

    def _curvature_along(self, step: _Step, directions: Rows) -> Rows:
        """Hessian-vector products of the loop's loss, by central differences with a bounded step per entry."""
        longest = max(float(direction.abs().max()) for direction in directions)
        if not longest > 0:
            return [torch.zeros_like(direction) for direction in directions]
        reach = torch.finfo(directions[0].dtype).eps ** (1 / 3) / longest
        ahead, behind = (
            self._slopes_at(step, [row + sign * reach * v for row, v in zip(step.rows, directions, strict=True)])
            for sign in (1, -1)
        )
        return [(after - before) / (2 * reach) for after, before in zip(ahead, behind, strict=True)]

    def _slopes_at(self, step: _Step, rows: Rows) -> Rows:
        """Gradient of the loop's loss at other rows, with the noise of a step."""
        full = torch.autocast(rows[0].device.type, enabled=False)  # a difference in half precision is mostly rounding
        with _held_at(self.local, rows), step.noise.again(), torch.enable_grad(), full:
            loss = -self.terms().objective.sum()
            return _filled(torch.autograd.grad(loss, self.local, allow_unused=True), self.local)


class _Noise:
    """Saved state of the random number generators."""

    def __init__(self, device: torch.device) -> None:
        self.devices = [device] if device.type == "cuda" else []
        self.state, self.states = torch.get_rng_state(), [torch.cuda.get_rng_state(d) for d in self.devices]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Context with the saved random state; the current state is restored after it."""
        with torch.random.fork_rng(self.devices):
            torch.set_rng_state(self.state)
            for device, state in zip(self.devices, self.states, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield


class _Step(NamedTuple):
    """Recorded step of the loop: the rows before it, their gradients, and all other inputs of the update."""

    rows: Rows
    noise: _Noise
    slopes: Rows
    rate: float
    moves: Tensor | None


@contextmanager
def _held_at(local: Rows, values: Rows) -> Iterator[None]:
    """Context in which the rows have other values."""
    kept = [row.detach().clone() for row in local]
    try:
        _set(local, values)
        yield
    finally:
        _set(local, kept)


@torch.no_grad()
def _set(local: Rows, values: Rows) -> None:
    for row, value in zip(local, values, strict=True):
        row.copy_(value)


def _filled(slopes: Sequence[Tensor | None], like: Sequence[Tensor]) -> Rows:
    """Gradients without history, zero for None."""
    return [
        torch.zeros_like(row) if slope is None else slope.detach().clone()
        for slope, row in zip(slopes, like, strict=True)
    ]
