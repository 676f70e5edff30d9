"""The mean and standard deviation of a prior, at which guides start."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution


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
