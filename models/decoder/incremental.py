"""Incremental decoding: prefill and decode steps of texts that are being written, on a key-value cache.

The mathematics is that of `Block`, in as few operations as there can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu

from ltm_pyro.models.decoder.abstract_cache import AbstractCache
from ltm_pyro.models.decoder.banded import banded_attention
from ltm_pyro.models.decoder.block import EPSILON, Block
from ltm_pyro.models.decoder.cache import CacheSlots, LayerCache
from ltm_pyro.models.decoder.rotary import rotate


class IncrementalBlock:
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
            self.query = block.cross_attention.query.weight * block.norm_2.weight
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
        h = h + self._self_attend(_norm(h), table, mask)
        if self.thoughts is not None:
            h = h + self._cross_attend(_norm(h), table, self.thoughts)
        gate, up = linear(_norm(h), self.gate_up).chunk(2, -1)
        return h + linear(silu(gate) * up, self.down)

    def _self_attend(self, h: Tensor, table: Tensor, mask: Tensor) -> Tensor:
        qkv = linear(h, self.recall).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, N, H, T, D/H)
        q, k = rotate(qkv[:2], table).unbind()
        k, v = self.cache.extend(k, qkv[2])
        if mask.dim() == 3:
            return linear(_merge(banded_attention(q, k, v, mask)), self.output)
        return linear(_merge(scaled_dot_product_attention(q, k, v, attn_mask=mask)), self.output)

    def _cross_attend(self, h: Tensor, table: Tensor, thoughts: tuple[Tensor, Tensor]) -> Tensor:
        q = rotate(linear(h, self.query).unflatten(-1, (self.heads, -1)).transpose(1, 2), table)
        return linear(_merge(scaled_dot_product_attention(q, *thoughts)), self.answer)


class DecoderCache(AbstractCache):
    """The state of texts being written.

    Attributes:
        blocks: each layer's `IncrementalBlock`, with its own `LayerCache`.
        slots: of the texts' tokens, which all layers share.
    """

    def __init__(self, blocks: Sequence[IncrementalBlock], slots: CacheSlots) -> None:
        self.blocks, self.slots = blocks, slots

    @classmethod
    def of(
        cls, blocks: Iterable[Block], thoughts: Iterable[tuple[Tensor, Tensor] | None], slots: CacheSlots
    ) -> DecoderCache:
        """An empty cache of blocks, whose thoughts' keys and values are known."""
        pairs = zip(blocks, thoughts, strict=True)
        return cls([IncrementalBlock(block, its, LayerCache(slots)) for block, its in pairs], slots)

    @property
    def position(self) -> int:
        return self.slots.furthest

    def rewind(self, read: Tensor) -> None:
        self.slots.read, self.slots.furthest = read[:, None], int(read.max())

    def prefill(self, h: Tensor, rotary: Tensor, mask: Tensor) -> Tensor:
        """States of the first tokens, which see each other, shape (N, T, D).

        Args:
            h: their embeddings.
            rotary: table of all positions.
            mask: where they see each other, as `IncrementalBlock` takes it.
        """
        count = h.shape[1]
        self.slots.begin(count)
        return self._through(h, rotary[:count], mask)

    def decode(self, h: Tensor, rotary: Tensor) -> Tensor:
        """States of more tokens, which see the ring, each text at a position of its own, shape (N, T, D).

        Args:
            h: their embeddings.
            rotary: table of all positions; tokens beyond the last are at the last, and are forgotten again.
        """
        positions, sees = self.slots.go_on(h.shape[1])
        if self.position > len(rotary):
            positions = positions.clamp_max(len(rotary) - 1)
        mask = torch.zeros_like(sees, dtype=rotary.dtype).masked_fill_(~sees, -torch.inf)  # once for all layers
        return self._through(h, rotary[positions][:, None], mask)  # (N, 1, T, channels / 2, 2): all heads alike

    def _through(self, h: Tensor, table: Tensor, mask: Tensor) -> Tensor:
        for block in self.blocks:
            h = block(h, table, mask)
        return h


def _norm(h: Tensor) -> Tensor:
    return rms_norm(h, h.shape[-1:], eps=EPSILON)


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)  # (N, H, T, D/H) -> (N, T, D)
