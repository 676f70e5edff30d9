"""An output layer that gives the parameters of Gaussians."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor, nn

LOG_SIGMA_LIMIT = 7.0  # on |log sigma|, so that no step of learning ends in infinities
INITIAL_SHRINKAGE = 0.01  # of the initial weights: close to N(0, 1), with a gradient for the layers before


class GaussianHead(nn.Module):
    r"""Output layer from hidden states to independent Gaussians, close to N(0, 1) at the start.

    .. math:: \mu, a = W h + b, \qquad \log\sigma = c \tanh(a / c)

    Args:
        inputs: width of the hidden states.
        outputs: number of Gaussians for each hidden state.
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
    """Scale a layer's initial weights down, close to zero."""
    for parameter in layer.parameters():
        parameter.mul_(INITIAL_SHRINKAGE)
