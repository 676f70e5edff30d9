"""The last layer of a network that emits Gaussians."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor, nn

LOG_SIGMA_LIMIT = 7.0  # within which log sigma stays, so that no step of learning ends in infinities
INITIAL_SHRINKAGE = 0.01  # of the initial weights: close to N(0, 1), and yet with a gradient for what comes before


class GaussianHead(nn.Module):
    r"""Hidden states to independent Gaussians, close to N(0, 1) at the start.

    .. math:: \mu, a = W h + b, \qquad \log\sigma = c \tanh(a / c)

    Args:
        inputs: width of the hidden states.
        outputs: how many Gaussians there are for each.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * outputs)
        shrink(self.linear)

    def forward(self, h: Tensor) -> dist.Normal:
        """Gaussians of batch shape (..., outputs), from h of shape (..., inputs)."""
        mu, raw = self.linear(h).chunk(2, -1)
        return dist.Normal(mu, (LOG_SIGMA_LIMIT * torch.tanh(raw / LOG_SIGMA_LIMIT)).exp())


@torch.no_grad()
def shrink(layer: nn.Module) -> None:
    """Bring a layer's initial weights close to zero."""
    for parameter in layer.parameters():
        parameter.mul_(INITIAL_SHRINKAGE)
