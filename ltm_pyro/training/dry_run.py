"""Dry run of a fast step with zero gradients, so that errors of guides, optimizers and bounds show before training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from pyro import poutine

from ltm_pyro.errors import InputError
from ltm_pyro.inference.objective import objective_for
from ltm_pyro.models import MaskedDiffusionModel, MaskedSequence
from ltm_pyro.training.components import RunComponents
from ltm_pyro.training.own_classes import check_own_classes


def dry_run(components: RunComponents, length: int, learns: bool = True) -> None:
    """Start a copy of the guide on one text, and step its rows with zero gradients; the model is not run.

    Classes from outside the library are first checked against their contracts (see `check_own_classes`). The objects
    and torch's random state are unchanged.

    Args:
        components: of a run, on the CPU.
        length: T, of the text.
        learns: check contracts, and that the bounds accept the guide's samples, too.

    Raises:
        InputError: if a contract is broken, the guide cannot start, its family does not take the fast loop's optimizer,
            the optimizer cannot step from gradients alone, or a bound does not accept the samples.
    """
    if learns:
        check_own_classes(components, length)
    guide: Any = deepcopy(components.guide)
    with torch.random.fork_rng(devices=[]):
        with torch.no_grad():
            guide.start(torch.zeros(1, length, dtype=torch.long))
        if learns:
            _ask_bounds(components, guide)
        if guide.local_parameters():
            _step(components, guide)


def _ask_bounds(components: RunComponents, guide: Any) -> None:
    if isinstance(components.model, MaskedDiffusionModel):
        components.slow.bound.check_site({"name": "x", "fn": MaskedSequence(components.model)})
    sites = poutine.trace(guide).get_trace().nodes
    for bound in (components.fast.bound, components.slow.bound):
        if "z" in sites:
            objective_for(guide, bound).check_site(dict(sites["z"]))


def _step(components: RunComponents, guide: Any) -> None:
    optimizer = components.fast.make_optimizer(guide)
    for row in guide.local_parameters():
        row.grad = torch.zeros_like(row)
    try:
        optimizer.step()
    except (TypeError, RuntimeError) as error:
        raise InputError(
            f"fast.optimizer {type(optimizer).__name__} cannot step from gradients alone: {error}. Give "
            "torch.optim.Adam, torch.optim.SGD or another that can"
        ) from error
