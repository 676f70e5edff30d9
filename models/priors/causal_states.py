"""A causal Transformer over thought vectors, for autoregressive priors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ltm_pyro.models.decoder.attention import window_mask
from ltm_pyro.models.decoder.block import EPSILON, Block
from ltm_pyro.models.decoder.rotary import rotary_table
from ltm_pyro.models.priors.denoiser import check_sizes


class CausalStates(nn.Module):
    """Causal Transformer: hidden states h_1 … h_V, where h_n depends on the vectors before the n-th.

    Args:
        vectors: V.
        channels: of a vector.
        width: of the states, a multiple of 2 x `heads`.
        blocks: layers.
        heads: of the attention.

    Raises:
        InputError: for sizes that do not fit together.
    """

    rotary: Tensor
    sees: Tensor

    def __init__(self, vectors: int, channels: int, width: int, blocks: int, heads: int) -> None:
        check_sizes(width, blocks, heads)
        super().__init__()
        self.read = nn.Linear(channels, width, bias=False)
        self.place = nn.Parameter(0.1 * torch.randn(vectors, width))  # an embedding of each position
        self.blocks = nn.ModuleList(Block(width, heads, thinks=False) for _ in range(blocks))
        self.norm = nn.RMSNorm(width, eps=EPSILON)
        self.register_buffer("rotary", rotary_table(torch.arange(vectors), width // heads), persistent=False)
        self.register_buffer("sees", window_mask(vectors, vectors), persistent=False)

    def forward(self, past: Tensor) -> Tensor:
        """Hidden states of the first n + 1 vectors, given the first n.

        Args:
            past: the first n vectors, shape (..., n, channels), n < V.

        Returns:
            Shape (..., n + 1, width).
        """
        size = past.shape[-2] + 1
        h = pad(self.read(past), (0, 0, 1, 0)) + self.place[:size]  # a zero input before the first vector
        for block in self.blocks:
            h = block(h, self.rotary[:size], self.sees[:size, :size])
        return self.norm(h)
