"""Denoising networks of a diffusion over thought vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.block import EPSILON, Block, FeedForward
from ltm_pyro.models.decoder.rotary import rotary_table
from ltm_pyro.models.priors.gaussian_head import shrink

FREQUENCIES = 6  # of the features of a level


class _Denoiser(nn.Module):
    """Input and output layers of a denoiser: noisy vectors and levels to hidden states, and these to v and w."""

    frequencies: Tensor

    def __init__(self, channels: int, width: int, steps: int) -> None:
        super().__init__()
        self.read = nn.Linear(channels, width, bias=False)
        self.level = nn.Linear(2 * FREQUENCIES, width)
        self.norm = nn.RMSNorm(width, eps=EPSILON)
        self.head = nn.Linear(width, 2 * channels)
        shrink(self.head)
        frequencies = math.pi / steps * 2 ** torch.arange(FREQUENCIES)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def see(self, z_t: Tensor, t: Tensor) -> Tensor:
        """Hidden states of vectors at levels t, shape (..., V, width)."""
        angles = t * self.frequencies  # (..., 1 or V, FREQUENCIES)
        return self.read(z_t) + self.level(torch.cat((angles.cos(), angles.sin()), -1))

    def say(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """v and w, shape (..., V, D) each."""
        v, w = self.head(self.norm(h)).chunk(2, -1)
        return v, w


class JointDenoiser(_Denoiser):
    """Denoising Transformer over all vectors of z, with full attention between them.

    Args:
        vectors: V.
        channels: D.
        width: of the Transformer, a multiple of 2 x `heads`.
        blocks: number of layers.
        heads: of the attention.
        steps: N of the diffusion.
    """

    rotary: Tensor

    def __init__(self, vectors: int, channels: int, width: int, blocks: int, heads: int, steps: int) -> None:
        check_sizes(width, blocks, heads)
        super().__init__(channels, width, steps)
        self.place = nn.Parameter(0.1 * torch.randn(vectors, width))
        self.blocks = nn.ModuleList(Block(width, heads, thinks=False) for _ in range(blocks))
        self.register_buffer("rotary", rotary_table(torch.arange(vectors), width // heads), persistent=False)

    def forward(self, z_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """v and w, shape (..., V, D) each, from noisy vectors and their level, shape (..., 1, 1)."""
        h = self.see(z_t, t) + self.place
        for block in self.blocks:
            h = block(h, self.rotary, None)
        return self.say(h)


class VectorDenoiser(_Denoiser):
    """Denoising residual network over a single vector, conditioned on a state of the vectors before it.

    Args:
        channels: D.
        width: of hidden states.
        blocks: residual layers.
        steps: N of the diffusion.
    """

    def __init__(self, channels: int, width: int, blocks: int, steps: int) -> None:
        super().__init__(channels, width, steps)
        self.context = nn.Linear(width, width, bias=False)
        self.norms = nn.ModuleList(nn.RMSNorm(width, eps=EPSILON) for _ in range(blocks))
        self.layers = nn.ModuleList(FeedForward(width) for _ in range(blocks))

    def forward(self, z_t: Tensor, t: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """v and w, shape (..., V, D) each, from noisy vectors, their levels and states (..., V, width)."""
        h = self.see(z_t, t) + self.context(states)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = h + layer(norm(h))
        return self.say(h)


def check_sizes(width: int, blocks: int, heads: int) -> None:
    """Raises InputError unless the sizes of a Transformer are positive, and its width is a multiple of 2 x `heads`."""
    if min(width, blocks, heads) < 1 or width % (2 * heads):
        raise InputError(
            f"width={width}, blocks={blocks}, heads={heads}: expected positive sizes, and a width that is "
            "a multiple of 2 x heads"
        )
