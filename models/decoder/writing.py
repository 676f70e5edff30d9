"""A block as it writes: the mathematics of `Block`, in as few operations as there can be."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu

from ltm_pyro.models.decoder.banded import banded_attention
from ltm_pyro.models.decoder.block import EPSILON, Block
from ltm_pyro.models.decoder.cache import LayerCache
from ltm_pyro.models.decoder.rotary import rotate


class WritingBlock:
    """A block's weights, and what it remembers of the texts that are being written.

    The step of one token is mostly the calls that it takes: matrices that read the same are joined here, with the
    gains of the RMSNorm before them. It has no gradient, and does not follow weights that change.

    Args:
        block: whose weights these are.
        thoughts: the layer's thought keys and values; None without.
        cache: of the layer's token keys and values.
    """

    def __init__(self, block: Block, thoughts: tuple[Tensor, Tensor] | None, cache: LayerCache) -> None:
        attention, forward = block.self_attention, block.feed_forward
        self.heads, self.thoughts, self.cache = attention.heads, thoughts, cache
        joined = torch.cat((attention.query.weight, attention.key.weight, attention.value.weight))
        self.recall, self.output = joined * block.norm_1.weight, attention.output.weight
        if block.thinks:
            self.ask = block.cross_attention.query.weight * block.norm_2.weight
            self.answer = block.cross_attention.output.weight
        self.gate_up = torch.cat((forward.gate.weight, forward.up.weight)) * block.norm_3.weight
        self.down = forward.down.weight

    def __call__(self, h: Tensor, table: Tensor, mask: Tensor) -> Tensor:
        """The block's states of new tokens, which its cache remembers, shape (N, T, D) to (N, T, D).

        Args:
            h: token states.
            table: rotary table of the tokens' positions.
            mask: True, or 0 and not minus infinity, where a token sees what the cache gives it; or `band_masks`.
        """
        h = h + self._look_back(_norm(h), table, mask)
        if self.thoughts is not None:
            h = h + self._think(_norm(h), table, self.thoughts)
        gate, up = linear(_norm(h), self.gate_up).chunk(2, -1)
        return h + linear(silu(gate) * up, self.down)

    def _look_back(self, h: Tensor, table: Tensor, mask: Tensor) -> Tensor:
        qkv = linear(h, self.recall).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, N, H, T, D/H)
        q, k = rotate(qkv[:2], table).unbind()
        k, v = self.cache.extend(k, qkv[2])
        if mask.dim() == 3:
            return linear(_merge(banded_attention(q, k, v, mask)), self.output)
        return linear(_merge(scaled_dot_product_attention(q, k, v, attn_mask=mask)), self.output)

    def _think(self, h: Tensor, table: Tensor, thoughts: tuple[Tensor, Tensor]) -> Tensor:
        q = rotate(linear(h, self.ask).unflatten(-1, (self.heads, -1)).transpose(1, 2), table)
        return linear(_merge(scaled_dot_product_attention(q, *thoughts)), self.answer)


def _norm(h: Tensor) -> Tensor:
    return rms_norm(h, h.shape[-1:], eps=EPSILON)


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)  # (N, H, T, D/H) -> (N, T, D)
