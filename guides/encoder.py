"""A small Transformer that reads a text and says where its thoughts may be."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from ltm_pyro.errors import InputError
from ltm_pyro.token_ids import token_ids


class TextEncoder(nn.Module):
    r"""Two numbers for every entry of z, from the scored tokens of a text: a shift of its mean, and of its log-scale.

    .. math:: x \mapsto (a, b), \qquad \mu = m + s \odot a, \quad \log \sigma = \log s + b

    where m and s are the prior's mean and standard deviation. A query for each of the L K thoughts stands before the
    tokens, all attend to all, and what has become of a query is carried to 2D numbers. That last matrix starts at
    zero, so that q starts at the prior.

    Only scored tokens are read, and a token's position is its number among them: padding and blotted tokens change
    nothing, wherever they stand. Positions are sinusoids, for texts of any length; a text of which nothing is scored
    has the queries alone.

    Args:
        z_shape: (L, K, D).
        vocabulary: V.
        width: channels of a token.
        blocks: layers.
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
                f"vocabulary={vocabulary}, width={width}, blocks={blocks}, heads={heads}: an encoder needs one of each "
                "at least, and a width of two"
            )
        if width % (2 * heads):
            near = 2 * heads * max(1, round(width / (2 * heads)))
            raise InputError(f"width={width} cannot be shared by heads={heads}: a width of {near} would do")
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
        read = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        tokens = self.embedding(x.masked_fill(~read, 0))
        tokens = tokens + _sinusoids(read.cumsum(-1), tokens.shape[-1]).to(tokens)  # (B, T, width)
        h = torch.cat((self.queries.expand(len(x), -1, -1), tokens), 1)  # (B, L K + T, width)
        count = len(self.queries)
        seen = torch.cat((read.new_ones(len(x), count), read), 1)[:, None, None]  # of keys, (B, 1, 1, L K + T)
        for block in self.blocks:
            h = block(h, seen)
        shift, log_scale = self.head(self.norm(h[:, :count])).chunk(2, -1)
        return shift.view(-1, *self.z_shape), log_scale.view(-1, *self.z_shape)


class _Block(nn.Module):
    """Attention of all on all that are read, and a feed-forward layer; each behind an RMSNorm and added."""

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


def _sinusoids(places: Tensor, width: int) -> Tensor:
    """Sines and cosines of positions, (B, T) -> (B, T, width) (Vaswani et al., 2017, arXiv 1706.03762, section 3.5)."""
    rates = torch.arange(0, width, 2, device=places.device) * (-math.log(10_000) / width)
    angles = places[..., None] * rates.exp()
    return torch.cat((angles.sin(), angles.cos()), -1)
