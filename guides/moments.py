"""Moments of distributions of thoughts: those of a prior, at which guides start, and those of a posterior."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

DRAWS = 1000  # for a moment that has no closed form


def moments(prior: Distribution | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a prior; 0 and 1 wherever it has none that are finite."""
    standard = torch.tensor(0.0, device=device), torch.tensor(1.0, device=device)
    if prior is None:
        return standard
    try:
        mean, variance = prior.mean, prior.variance
    except NotImplementedError:
        return standard
    mean = mean.detach().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return mean, variance.detach().nan_to_num(nan=1.0, posinf=1.0).sqrt()


def moment(q: Distribution, name: str) -> Tensor:
    """The `mean` or the `variance` of a posterior; from a thousand draws where it has none in closed form."""
    try:
        value: Tensor = getattr(q, name)
    except (NotImplementedError, AttributeError):
        with torch.no_grad():
            draws = q.sample(torch.Size([DRAWS]))
        value = draws.mean(0) if name == "mean" else draws.var(0)
    return value.detach()
