"""A prior that writes thoughts one after the other, as a language model writes words."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.attention import window_mask
from ltm_pyro.models.decoder.block import EPSILON, Block
from ltm_pyro.models.decoder.rotary import rotary_table
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.gaussian_head import GaussianHead


class AutoregressivePrior(AbstractPrior):
    r"""A small causal Transformer over all N = L K thought vectors emits each one's Gaussian.

    .. math:: p(z) = \prod_{n=1}^{N} \mathcal{N}(z_n; \mu_n(z_{<n}), \mathrm{diag}(\sigma_n(z_{<n})^2))

    The vectors are taken layer by layer. Within a vector the D dimensions are independent, given the vectors before
    it. It starts close to N(0, I). A density is one pass; a sample is N passes.

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

    rotary: Tensor
    sees: Tensor

    def __init__(self, z_shape: tuple[int, int, int], width: int = 64, blocks: int = 2, heads: int = 4) -> None:
        super().__init__(z_shape)
        if min(width, blocks, heads) < 1 or width % (2 * heads):
            raise InputError(
                f"width={width}, blocks={blocks}, heads={heads}: expected positive sizes, and a width that is "
                "a multiple of 2 x heads"
            )
        self.heads = heads
        vectors, channels = self.z_shape[0] * self.z_shape[1], self.z_shape[2]
        self.read = nn.Linear(channels, width, bias=False)
        self.place = nn.Parameter(0.1 * torch.randn(vectors, width))  # which of the N vectors is asked for
        self.blocks = nn.ModuleList(Block(width, heads, thinks=False) for _ in range(blocks))
        self.norm = nn.RMSNorm(width, eps=EPSILON)
        self.head = GaussianHead(width, channels)
        self.register_buffer("rotary", rotary_table(torch.arange(vectors), width // heads), persistent=False)
        self.register_buffer("sees", window_mask(vectors, vectors), persistent=False)

    def forward(self) -> ThoughtDistribution:
        return ThoughtDistribution(self.z_shape, self._log_density, self._draw)

    def conditionals(self, past: Tensor) -> dist.Normal:
        """The Gaussians of the first vector and of that after each one of `past`.

        Args:
            past: the first n thought vectors, shape (..., n, D), n < N.

        Returns:
            Batch shape (..., n + 1, D).
        """
        size = past.shape[-2] + 1
        h = pad(self.read(past), (0, 0, 1, 0)) + self.place[:size]  # (..., n + 1, width): nothing precedes the first
        for block in self.blocks:
            h = block(h, self.rotary[:size], self.sees[:size, :size])
        return self.head(self.norm(h))

    def _log_density(self, z: Tensor) -> Tensor:
        vectors = z.flatten(-3, -2)  # (..., N, D)
        return self.conditionals(vectors[..., :-1, :]).log_prob(vectors).sum((-1, -2))

    def _draw(self, shape: torch.Size) -> Tensor:
        vectors = self.place.new_empty(*shape, 0, self.z_shape[2])
        for _ in range(len(self.place)):
            following = self.conditionals(vectors).rsample()[..., -1:, :]
            vectors = torch.cat((vectors, following), -2)
        return vectors.view(*shape, *self.z_shape)

    def extra_repr(self) -> str:
        width, blocks = self.place.shape[-1], len(self.blocks)
        return f"z_shape={self.z_shape}, width={width}, blocks={blocks}, heads={self.heads}"
