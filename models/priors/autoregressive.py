"""An autoregressive prior over thought vectors."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.causal_states import CausalStates
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.gaussian_head import GaussianHead
from ltm_pyro.ranges import bounded, whole


class AutoregressivePrior(AbstractPrior):
    r"""Autoregressive prior: a small causal Transformer gives the Gaussian of each of the N = L K thought vectors.

    .. math:: p(z) = \prod_{n=1}^{N} \mathcal{N}(z_n; \mu_n(z_{<n}), \mathrm{diag}(\sigma_n(z_{<n})^2))

    Vectors are ordered layer by layer. Within a vector the D dimensions are independent, given the vectors before it.
    The prior starts close to N(0, I). A density takes one pass, a sample N passes.

    Args:
        z_shape: (L, K, D).
        width: of the Transformer, a multiple of 2 x `heads`.
        blocks: how many layers the Transformer has.
        heads: of its attention.

    Raises:
        InputError: for sizes that do not fit together.

    Example:
        >>> AutoregressivePrior((2, 4, 8))().sample((5,)).shape
        torch.Size([5, 2, 4, 8])
    """

    @bounded(width=whole(1), blocks=whole(1), heads=whole(1))
    def __init__(self, z_shape: tuple[int, int, int], width: int = 64, blocks: int = 2, heads: int = 4) -> None:
        super().__init__(z_shape)
        layers, thoughts, channels = self.z_shape
        self.vectors, self.sizes = layers * thoughts, (width, blocks, heads)
        self.states = CausalStates(self.vectors, channels, width, blocks, heads)
        self.head = GaussianHead(width, channels)

    def forward(self) -> ThoughtDistribution:
        return ThoughtDistribution(self.z_shape, self._log_density, self._draw)

    def conditionals(self, past: Tensor) -> dist.Normal:
        """Conditional Gaussians of the first n + 1 vectors, given the first n.

        Args:
            past: the first n thought vectors, shape (..., n, D), n < N.

        Returns:
            Batch shape (..., n + 1, D).
        """
        return self.head(self.states(past))

    def _log_density(self, z: Tensor) -> Tensor:
        vectors = z.flatten(-3, -2)  # (..., N, D)
        return self.conditionals(vectors[..., :-1, :]).log_prob(vectors).sum((-1, -2))

    def _draw(self, shape: torch.Size) -> Tensor:
        vectors = self.states.place.new_empty(*shape, 0, self.z_shape[2])
        for _ in range(self.vectors):
            next_vector = self.conditionals(vectors).rsample()[..., -1:, :]
            vectors = torch.cat((vectors, next_vector), -2)
        return vectors.view(*shape, *self.z_shape)

    def extra_repr(self) -> str:
        width, blocks, heads = self.sizes
        return f"z_shape={self.z_shape}, width={width}, blocks={blocks}, heads={heads}"
