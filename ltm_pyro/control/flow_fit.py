"""Maximum-likelihood fit of a control's prior to draws of posteriors, stopped by other texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ltm_pyro.control.conditions import NoCondition
from ltm_pyro.control.prior import ControlPrior
from ltm_pyro.errors import InputError
from ltm_pyro.models.priors import ConditionalFlow

AT_ONCE = 1024  # draws whose density is computed at once
CHECKED = 4  # draws of each calibration text
AFFINE_RATE, MOMENTUM = 8e-3, 0.9  # of gradient descent for the affine part, on contexts of mean square 1
LARGEST_NORM = 10.0  # of a gradient


@dataclass(frozen=True)
class FlowFit:
    """Settings of each part of the fit.

    Args:
        epochs: the most passes over the texts; each takes another draw of each text's posterior.
        batch_size: texts in a batch of the flow.
        learning_rate: of AdamW for the splines at the start; it falls to zero along a cosine.
        patience: epochs without a better likelihood of the calibration texts after which the part ends.
    """

    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 5e-4
    patience: int = 30


class Texts(NamedTuple):
    """Draws of the posteriors of N sequences, shape (S, N, L, K, D), and the values of their texts, (N, ...)."""

    z: Tensor
    values: Tensor

    def to(self, device: torch.device) -> Texts:
        return Texts(self.z.to(device), self.values.to(device))


class Fitted(NamedTuple):
    """Outcome of one part of a fit.

    Attributes:
        epoch: the epoch whose weights are kept; 0 for the start.
        epochs: number of epochs run.
        start, best: mean log-density of the calibration texts at the start and at `epoch`, nats a sequence.
    """

    epoch: int
    epochs: int
    start: float
    best: float


class FittedControl(NamedTuple):
    """A fitted p(z | value), the same flow without a condition, and the outcome of each part of the fit by name."""

    given: ControlPrior
    without: ControlPrior
    parts: dict[str, Fitted]


def fit_control(
    condition: nn.Module,
    flow: ConditionalFlow,
    fitting: Texts,
    calibration: Texts,
    settings: FlowFit | None = None,
    seed: int = 0,
    listener: Callable[[str, int], None] = lambda part, epoch: None,
) -> FittedControl:
    r"""Fit p(z | value) by maximum likelihood of draws of posteriors, in three or four parts.

    1. The flow without a condition, from the moments of the draws: the best prior of this form for all values alike.
    2. From there, the condition and the affine part of the flow, by gradient descent with momentum. Its steps are
       proportional to the gradient, so that dimensions that tell nothing of the value stay where they are, whereas
       those of Adam would move all dimensions alike.
    3. From there, everything.
    4. If the third part moved the weights: the flow without a condition once more, so that it is trained for as long.

    Each part keeps the weights of the epoch with the highest likelihood of the calibration texts, its start included.
    So a condition that tells nothing leaves the flow without a condition as it is, instead of adding the noise of
    another fit.

    Args:
        condition: contexts of values.
        flow: at its start.
        fitting: the texts whose likelihood is maximised.
        calibration: other texts, which stop each part.
        settings: of each part.
        seed: of order and draws; the global random state is left as it was.
        listener: called after each epoch with the name of the part and the number of the epoch.

    Raises:
        InputError: if the likelihood is no finite number.
    """
    device, settings = flow.mean.device, settings or FlowFit()
    fitting, calibration = fitting.to(device), Texts(calibration.z[:CHECKED], calibration.values).to(device)
    flow.standardise(fitting.z.flatten(0, 1))
    without = ControlPrior(NoCondition(flow.context).to(device), flow)
    ascend = partial(_ascend, fitting=fitting, calibration=calibration, settings=settings, seed=seed)
    adam = partial(torch.optim.AdamW, lr=settings.learning_rate)
    with torch.no_grad():  # the noise of the gradients grows with each axis that contexts span
        square = condition(fitting.values).square().sum(-1).mean().clamp(min=1.0).item()
    descent = partial(torch.optim.SGD, lr=AFFINE_RATE / square, momentum=MOMENTUM)
    marginal = partial(ascend, without, list(flow.flow.parameters()), adam)
    fits = {"without": marginal(listener=partial(listener, "without a condition"))}
    given = ControlPrior(condition, deepcopy(flow))
    affine = [*condition.parameters(), *given.flow.affine.parameters()]
    fits["affine"] = ascend(given, affine, descent, listener=partial(listener, "affine"))
    fits["all"] = ascend(given, given.parameters(), adam, listener=partial(listener, "everything"))
    if fits["all"].epoch:
        fits["again"] = marginal(listener=partial(listener, "without a condition, again"))
    return FittedControl(given, without, fits)


def _ascend(
    prior: ControlPrior,
    parameters: Iterable[nn.Parameter],
    make_optimizer: Callable[..., torch.optim.Optimizer],
    fitting: Texts,
    calibration: Texts,
    settings: FlowFit,
    seed: int,
    listener: Callable[[int], None],
) -> Fitted:
    """One part of the fit: ascend the likelihood along some parameters."""
    learning = list(parameters)
    prior.requires_grad_(False)
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer = make_optimizer(learning)
    rate = optimizer.param_groups[0]["lr"]
    generator = torch.Generator().manual_seed(seed)
    best = start = _likelihood(prior, calibration)
    state, kept, epoch = deepcopy(prior.state_dict()), 0, 0
    for epoch in range(1, settings.epochs + 1):
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs))
        for z, values in _batches(fitting, settings.batch_size, generator):
            optimizer.zero_grad()
            (-prior(values).log_prob(z).mean()).backward()
            nn.utils.clip_grad_norm_(learning, LARGEST_NORM)
            optimizer.step()
        likelihood = _likelihood(prior, calibration)
        if likelihood > best:
            best, kept, state = likelihood, epoch, deepcopy(prior.state_dict())
        listener(epoch)
        if epoch - kept >= settings.patience or not math.isfinite(likelihood):
            break
    if not math.isfinite(best):
        raise InputError("the flow gives thoughts of the calibration texts no finite density: give more training texts")
    prior.load_state_dict(state)
    prior.requires_grad_(False)
    return Fitted(kept, epoch, start, best)


def _batches(texts: Texts, batch_size: int, generator: torch.Generator) -> Iterable[tuple[Tensor, Tensor]]:
    """One draw of each text in a random order, with the texts' values; a smaller last batch is left out."""
    draws, count = texts.z.shape[:2]
    size = min(batch_size, count)
    order = torch.randperm(count, generator=generator).to(texts.z.device)
    draw = torch.randint(draws, (count,), generator=generator).to(texts.z.device)
    for first in range(0, count - size + 1, size):
        rows = order[first : first + size]
        yield texts.z[draw[rows], rows], texts.values[rows]


@torch.no_grad()
def log_density(prior: ControlPrior, z: Tensor, values: Tensor) -> Tensor:
    """log p(z | value), shape (S, N), of draws (S, N, L, K, D) and values (N, ...), a part at a time; on the CPU."""
    device, size = prior.flow.mean.device, max(1, AT_ONCE // len(z))
    parts = [
        prior(part.to(device)).log_prob(rows.to(device)).cpu()
        for part, rows in zip(values.split(size), z.split(size, 1), strict=True)
    ]
    return torch.cat(parts, 1)


def _likelihood(prior: ControlPrior, texts: Texts) -> float:
    return log_density(prior, texts.z, texts.values).double().mean().item()
