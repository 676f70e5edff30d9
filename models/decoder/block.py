"""One layer of the decoder, as its residual equations."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from ltm_pyro.models.decoder.attention import CrossAttention, SelfAttention
from ltm_pyro.models.decoder.flexible import FlexibleWindow
from ltm_pyro.models.decoder.held import HeldAnswer, HeldFeedForward, HeldLookBack, HeldQueries, HeldThoughts, are_held
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


KINDS = frozenset((nn.Linear, RMSNorm, SelfAttention, CrossAttention, FeedForward))  # whose weights say what they do


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

    def thoughts(self, z: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of this layer's thoughts, (..., H, K, D/H) each, from z, (..., K, D)."""
        attention = self.cross_attention
        if are_held((attention, *attention.children()), KINDS, z):
            return HeldThoughts.apply(z, attention, table)
        return attention.keys_values(z, table)

    def self_attend(self, h: Tensor, table: Tensor, mask: Tensor | FlexibleWindow | None) -> Tensor:
        """Self-attention to the recent past."""
        norm, attention = self.norm_1, self.self_attention
        if isinstance(mask, FlexibleWindow) or not are_held((norm, attention, *attention.children()), KINDS, h):
            return h + attention(norm(h), table, mask)
        block, heads = None, None
        if mask is not None and mask.dim() == 3:
            block, heads, mask = mask.shape[1], attention.heads, mask[None, : -(-h.shape[-2] // mask.shape[1])]
        q, k, v = HeldLookBack.apply(h, norm, attention, table, block)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return HeldAnswer.apply(h, attended, attention.output.weight, h.shape[:-2], heads)

    def queries(self, h: Tensor, table: Tensor) -> Tensor | None:
        """Queries of the cross-attention; None in a block without thoughts."""
        if not self.thinks:
            return None
        norm, attention = self.norm_2, self.cross_attention
        if are_held((norm, attention, *attention.children()), KINDS, h):
            return HeldQueries.apply(h, norm, attention, table)
        return attention.queries(norm(h), table)

    def cross_attend(self, h: Tensor, queries: Tensor | None, thoughts: tuple[Tensor, Tensor] | None) -> Tensor:
        """Cross-attention to this layer's thoughts, then the feed-forward."""
        if queries is not None and thoughts is not None:
            h = self._answer(h, queries, thoughts)
        norm, forward = self.norm_3, self.feed_forward
        if are_held((norm, forward, *forward.children()), KINDS, h):
            return HeldFeedForward.apply(h, norm, forward.gate.weight, forward.up.weight, forward.down.weight)
        return h + forward(norm(h))

    def _answer(self, h: Tensor, queries: Tensor, thoughts: tuple[Tensor, Tensor]) -> Tensor:
        attention = self.cross_attention
        if not are_held((attention, *attention.children()), KINDS, h):
            return h + attention(queries, thoughts)
        attended, leading = attention.attend(queries, thoughts)
        return HeldAnswer.apply(h, attended, attention.output.weight, leading, None)
