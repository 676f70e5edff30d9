"""A hierarchical prior: a Markov chain over the layers' thoughts."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.gaussian_head import GaussianHead
from ltm_pyro.ranges import bounded, whole


class HierarchicalPrior(AbstractPrior):
    r"""Hierarchical prior: each layer's thoughts are Gaussian given those of the layer before.

    .. math:: p(z) = \mathcal{N}(z_1; \mu, \mathrm{diag}(\sigma^2))
              \prod_{l=2}^{L} \mathcal{N}(z_l; f_l(z_{l-1}), \mathrm{diag}(\sigma_l(z_{l-1})^2))

    :math:`f_l` and :math:`\log\sigma_l` are one small network for each step of the chain, from all K thoughts
    of a layer to all of the next. The prior starts close to N(0, I). A density takes all layers at once, a sample layer
    after layer. (The top-down prior of Sønderby et al., 2016,
    arXiv 1602.02282, equation 2.)

    Args:
        z_shape: (L, K, D).
        hidden: width of each network's two hidden layers.

    Raises:
        InputError: if hidden is not positive.

    Example:
        >>> HierarchicalPrior((2, 4, 8))().sample((5,)).shape
        torch.Size([5, 2, 4, 8])
    """

    @bounded(hidden=whole(1))
    def __init__(self, z_shape: tuple[int, int, int], hidden: int = 64) -> None:
        super().__init__(z_shape)
        if hidden < 1:
            raise InputError(f"hidden={hidden}: expected 1 unit or more in the networks' hidden layers")
        self.hidden = hidden
        layers, width = self.z_shape[0], self.z_shape[1] * self.z_shape[2]  # of one layer's thoughts, K D
        self.mu = nn.Parameter(torch.zeros(width))
        self.log_sigma = nn.Parameter(torch.zeros(width))
        self.steps = nn.ModuleList(_step(width, hidden) for _ in range(1, layers))

    def forward(self) -> ThoughtDistribution:
        return ThoughtDistribution(self.z_shape, self._log_density, self._draw)

    def _first(self) -> dist.Normal:
        return dist.Normal(self.mu, self.log_sigma.exp())

    def _log_density(self, z: Tensor) -> Tensor:
        layers = z.flatten(-2).unbind(-2)  # L of (..., K D)
        conditionals = [self._first(), *(step(above) for step, above in zip(self.steps, layers[:-1], strict=True))]
        nats = [p.log_prob(z_l).sum(-1) for p, z_l in zip(conditionals, layers, strict=True)]
        return torch.stack(nats).sum(0)

    def _draw(self, shape: torch.Size) -> Tensor:
        layers = [self._first().rsample(shape)]
        for step in self.steps:
            layers.append(step(layers[-1]).rsample())
        return torch.stack(layers, -2).view(*shape, *self.z_shape)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, hidden={self.hidden}"


def _step(width: int, hidden: int) -> nn.Sequential:
    """The network from a layer's thoughts, flattened, to the Gaussians of the next."""
    first, second = nn.Linear(width, hidden), nn.Linear(hidden, hidden)
    return nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), GaussianHead(hidden, width))
