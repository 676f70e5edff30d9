"""One layer of the decoder, as its residual equations."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import silu

from ltm_pyro.models.decoder.attention import CrossAttention, SelfAttention
from ltm_pyro.models.decoder.flexible import FlexibleWindow
from ltm_pyro.models.decoder.norm import RMSNorm

EPSILON = 1e-5  # of every RMSNorm


class FeedForward(nn.Module):
    r"""SwiGLU, :math:`W_{down}(\mathrm{silu}(W_{gate} h) \odot W_{up} h)` (Shazeer, 2020, arXiv 2002.05202).

    The inner width is 8D/3, rounded up to a multiple of 32, unless another is given.
    """

    def __init__(self, width: int, inner: int | None = None) -> None:
        super().__init__()
        inner = -(-(8 * width // 3) // 32) * 32 if inner is None else inner
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        return self.down(silu(self.gate(h)) * self.up(h))


class Block(nn.Module):
    """Self-attention, cross-attention to thoughts, SwiGLU; each behind an RMSNorm and added to the stream."""

    def __init__(self, width: int, heads: int, thinks: bool, inner: int | None = None) -> None:
        super().__init__()
        self.thinks = thinks
        self.norm_1 = RMSNorm(width, eps=EPSILON)
        self.self_attention = SelfAttention(width, heads)
        if thinks:
            self.norm_2 = RMSNorm(width, eps=EPSILON)
            self.cross_attention = CrossAttention(width, heads)
        self.norm_3 = RMSNorm(width, eps=EPSILON)
        self.feed_forward = FeedForward(width, inner)

    def forward(
        self,
        h: Tensor,
        table: Tensor,
        mask: Tensor | FlexibleWindow | None,
        thoughts: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        h = self.self_attend(h, table, mask)
        return self.cross_attend(h, self.queries(h, table), thoughts)

    def self_attend(self, h: Tensor, table: Tensor, mask: Tensor | FlexibleWindow | None) -> Tensor:
        """Self-attention to the recent past."""
        return h + self.self_attention(self.norm_1(h), table, mask)

    def queries(self, h: Tensor, table: Tensor) -> Tensor | None:
        """Queries of the cross-attention; None in a block without thoughts."""
        return self.cross_attention.queries(self.norm_2(h), table) if self.thinks else None

    def cross_attend(self, h: Tensor, queries: Tensor | None, thoughts: tuple[Tensor, Tensor] | None) -> Tensor:
        """Cross-attention to this layer's thoughts, then the feed-forward."""
        if queries is not None and thoughts is not None:
            h = h + self.cross_attention(queries, thoughts)
        return h + self.feed_forward(self.norm_3(h))
