"""A Transformer encoder from a text to moments of its posterior."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from ltm_pyro.errors import InputError
from ltm_pyro.token_ids import token_ids


class TextEncoder(nn.Module):
    r"""Transformer encoder: from the scored tokens of a text to shifts of the mean and log-scale of q(z | x).

    .. math:: x \mapsto (a, b), \qquad \mu = m + s \odot a, \quad \log \sigma = \log s + b

    where m and s are the prior's mean and standard deviation. The input is a learned query for each of the L K
    thoughts, followed by the tokens, with full attention. A linear head maps each query's output to 2D numbers; it
    starts at zero, so that q starts at the prior.

    Only scored tokens are inputs, and a token's position is its index among them: padding and unscored tokens change
    nothing, wherever they are. Positions are sinusoidal, for texts of any length. For a text without a scored token the
    input is the queries alone.

    Args:
        z_shape: (L, K, D).
        vocabulary: V.
        width: of the hidden states, a multiple of 2 x `heads`.
        blocks: number of layers.
        heads: H.

    Raises:
        InputError: for sizes that do not fit together.
    """

    def __init__(
        self, z_shape: tuple[int, int, int], vocabulary: int, width: int = 128, blocks: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        if vocabulary < 1 or blocks < 1 or heads < 1 or width < 2:
            raise InputError(
                f"vocabulary={vocabulary}, width={width}, blocks={blocks}, heads={heads}: expected at least 1 of "
                "each, and a width of at least 2"
            )
        if width % (2 * heads):
            near = 2 * heads * max(1, round(width / (2 * heads)))
            raise InputError(f"width={width} is no multiple of 2 x heads={heads}: expected one, such as {near}")
        layers, thoughts, channels = z_shape
        self.z_shape = z_shape
        self.embedding = nn.Embedding(vocabulary, width)
        self.queries = nn.Parameter(torch.randn(layers * thoughts, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(blocks))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, 2 * channels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shifts of the mean and of the log-scale, shape (B, L, K, D) each, from x and its mask, (B, T)."""
        x = token_ids(x)
        scored = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        tokens = self.embedding(x.masked_fill(~scored, 0))
        tokens = tokens + _sinusoids(scored.cumsum(-1), tokens.shape[-1]).to(tokens)  # (B, T, width)
        h = torch.cat((self.queries.expand(len(x), -1, -1), tokens), 1)  # (B, L K + T, width)
        count = len(self.queries)
        seen = torch.cat((scored.new_ones(len(x), count), scored), 1)[:, None, None]  # of keys, (B, 1, 1, L K + T)
        for block in self.blocks:
            h = block(h, seen)
        shift, log_scale = self.head(self.norm(h[:, :count])).chunk(2, -1)
        return shift.view(-1, *self.z_shape), log_scale.view(-1, *self.z_shape)


class _Block(nn.Module):
    """Pre-norm Transformer block: self-attention to the positions that `seen` marks, and a feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.projections = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h: Tensor, seen: Tensor) -> Tensor:
        h = h + self.attend(self.norm_1(h), seen)
        return h + self.down(gelu(self.up(self.norm_2(h))))

    def attend(self, h: Tensor, seen: Tensor) -> Tensor:
        q, k, v = self.projections(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, N, width / H)
        return self.output(scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2))


def _sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sinusoids of positions, (B, T) -> (B, T, width) (Vaswani et al., 2017, arXiv 1706.03762, section 3.5)."""
    rates = torch.arange(0, width, 2, device=positions.device) * (-math.log(10_000) / width)
    angles = positions[..., None] * rates.exp()
    return torch.cat((angles.sin(), angles.cos()), -1)
