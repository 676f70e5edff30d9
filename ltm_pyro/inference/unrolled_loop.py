"""The way back through a fast loop, from the slope at its end to the slope at its start."""

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
    r"""The steps of a fast loop on one batch, noted as they are taken, and their derivative.

    .. math:: (\gamma_{s+1}, m_{s+1}) = U(\gamma_s, g_s, m_s), \qquad
              \bar\gamma_s = \partial_\gamma U^\top \bar u + H_s\, \partial_g U^\top \bar u, \qquad
              \bar u = (\bar\gamma_{s+1}, \bar m_{s+1})

    where U is the optimizer's update, m its moments, and :math:`H_s` the curvature of what the loop descends, at the
    noise of that step (Kim et al., 2018, arXiv 1802.02550, algorithm 2). The product with :math:`H_s` is a central
    difference of gradients at that noise: two passes through the model for every step, and no second derivative, which
    fused kernels do not have. U is differentiated exactly, for SGD and for Adam.

    Args:
        objective: what the loop maximises.
        fit: the loop on the batch.

    Raises:
        InputError: for an optimizer that it cannot follow; from `after`, for such a gradient.
    """

    def __init__(self, objective: AbstractObjective, fit: Fit) -> None:
        self.objective, self.terms, self.optimizer = objective, fit.terms, fit.optimizer
        self.local: Rows = list(fit.guide.local_parameters())
        self.update = differentiable_step(fit.optimizer)
        self._steps: list[_Step] = []

    @contextmanager
    def around(self, fit: Fit) -> Iterator[None]:
        """Hand the noted steps to the guide when the loop is done."""
        yield
        self.optimizer.zero_grad()  # the slow step's gradient comes there next
        fit.guide.set_unrolled(self)

    def before(self, step: FastStep) -> None:
        """Note where a step begins, before its noise is drawn."""
        self._before, self._noise = [row.detach().clone() for row in self.local], _Noise(self.local[0].device)

    def after(self, step: FastStep) -> None:
        """Note the step that has been taken, from the gradients that the rows still hold."""
        assert step.terms is not None
        reason = self.objective.refusal_of_refinement(step.terms)
        if reason:
            raise InputError(f"{reason}; or let the encoder learn with through='own'")
        slopes = _filled([row.grad for row in self.local], self.local)
        rate = self.optimizer.param_groups[0]["lr"]
        moves = None if step.moves is None else step.moves.clone()
        self._steps.append(_Step(self._before, self._noise, slopes, rate, moves))

    def backward(self, slopes: Sequence[Tensor | None]) -> Rows:
        """From the slope of a loss by the rows at the end of the loop, to its slope by those at the start.

        The gradients that rows and weights hold stay as they are. The rows must require gradients.
        """
        at_end, moments = _filled(slopes, self.local), self._moments()
        carried = [[torch.zeros_like(row)] * self.update.moments for row in self.local]
        for number in reversed(range(len(self._steps))):
            at_end, carried = self._back(number, at_end, carried, moments[number])
        return at_end

    def _moments(self) -> list[list[Rows]]:
        """The optimizer's moments before every step: by step, then by row."""
        found = [[[torch.zeros_like(row)] * self.update.moments for row in self.local]]
        for number, step in enumerate(self._steps):
            moved = [
                self.update.rule(row, slope, moments, number, step.rate)
                for row, slope, moments in zip(step.rows, step.slopes, found[-1], strict=True)
            ]
            found.append([list(moments) for _, *moments in moved])
        return found

    def _back(self, number: int, slopes: Rows, carried: list[Rows], moments: list[Rows]) -> tuple[Rows, list[Rows]]:
        """Slopes by the rows and moments after a step, as slopes by those before it."""
        step, direct, by_slope, by_moments = self._steps[number], [], [], []
        for place, row in enumerate(step.rows):
            inputs = [part.detach().requires_grad_() for part in (row, step.slopes[place], *moments[place])]
            moved, *after = self.update.rule(inputs[0], inputs[1], inputs[2:], number, step.rate)
            if step.moves is not None:
                moved = torch.where(by_sequence(step.moves, row), moved, inputs[0])
            found = torch.autograd.grad([moved, *after], inputs, [slopes[place], *carried[place]], allow_unused=True)
            first, second, *rest = _filled(found, inputs)
            direct.append(first)
            by_slope.append(second)
            by_moments.append(rest)
        bends = self._curvature_along(step, by_slope)
        return [one + other for one, other in zip(direct, bends, strict=True)], by_moments

    def _curvature_along(self, step: _Step, directions: Rows) -> Rows:
        """H v of what the loop descends, by a central difference that moves no entry further than it is exact."""
        longest = max(float(direction.abs().max()) for direction in directions)
        if not longest > 0:
            return [torch.zeros_like(direction) for direction in directions]
        reach = torch.finfo(directions[0].dtype).eps ** (1 / 3) / longest
        ahead, behind = (
            self._slopes_at(step, [row + sign * reach * v for row, v in zip(step.rows, directions, strict=True)])
            for sign in (1, -1)
        )
        return [(one - other) / (2 * reach) for one, other in zip(ahead, behind, strict=True)]

    def _slopes_at(self, step: _Step, rows: Rows) -> Rows:
        """The gradient of what the loop descends, elsewhere, at the noise of a step."""
        full = torch.autocast(rows[0].device.type, enabled=False)  # a difference in half precision is mostly rounding
        with _held_at(self.local, rows), step.noise.again(), torch.enable_grad(), full:
            loss = -self.terms().objective.sum()
            return _filled(torch.autograd.grad(loss, self.local, allow_unused=True), self.local)


class _Noise:
    """A place in the stream of random numbers, to which one can return."""

    def __init__(self, device: torch.device) -> None:
        self.devices = [device] if device.type == "cuda" else []
        self.state, self.states = torch.get_rng_state(), [torch.cuda.get_rng_state(d) for d in self.devices]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Within, the same numbers come again; behind, the stream goes on as if they had not."""
        with torch.random.fork_rng(self.devices):
            torch.set_rng_state(self.state)
            for device, state in zip(self.devices, self.states, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield


class _Step(NamedTuple):
    """A step of the loop: the rows before it, their gradient, and all else that it depended on."""

    rows: Rows
    noise: _Noise
    slopes: Rows
    rate: float
    moves: Tensor | None


@contextmanager
def _held_at(local: Rows, values: Rows) -> Iterator[None]:
    """Within, the rows have other values."""
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
    """Slopes without history, zero where there are none."""
    return [
        torch.zeros_like(row) if slope is None else slope.detach().clone()
        for slope, row in zip(slopes, like, strict=True)
    ]
