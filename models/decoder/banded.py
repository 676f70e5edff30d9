"""Sliding-window attention in blocks, whose cost follows the window and not the length of the text."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

SMALLEST_BLOCK = 32  # smaller blocks cost more in overhead than they save


def block_size(window: int) -> int:
    """Queries of a block: at least the window, so that a block and the one before it hold all that they see."""
    return max(window, SMALLEST_BLOCK)


def band_masks(length: int, window: int) -> Tensor:
    """For every block of queries, which of its own and the previous block's keys they see.

    Returns:
        Boolean, shape (blocks, C, 2C) with blocks of C queries.
    """
    size = block_size(window)
    queries, keys = torch.arange(size)[:, None] + size, torch.arange(2 * size)
    band = (keys <= queries) & (keys > queries - window)
    masks = band.repeat(-(-length // size), 1, 1)
    masks[0] &= keys >= size  # before the first block there is nothing
    return masks


def banded_attention(q: Tensor, k: Tensor, v: Tensor, masks: Tensor) -> Tensor:
    """Causal attention within a window; equal to attention under the dense mask.

    Args:
        q, k, v: shape (N, H, T, channels).
        masks: the blocks' `band_masks`, shape (blocks, C, 2C), enough of them for T.

    Returns:
        Shape (N, H, T, channels).
    """
    shape, size = q.shape, masks.shape[1]
    blocks = -(-shape[-2] // size)
    q, k, v = (
        pad(t.flatten(0, 1), (0, 0, 0, blocks * size - shape[-2])).unflatten(1, (blocks, size)) for t in (q, k, v)
    )
    k, v = (torch.cat((pad(t[:, :-1], (0, 0, 0, 0, 1, 0)), t), -2) for t in (k, v))  # (N * H, blocks, 2C, channels)
    # Blocks stand where attention expects heads, so that one mask serves all: without that there is no fused kernel.
    attended = scaled_dot_product_attention(q, k, v, attn_mask=masks[None, :blocks])
    return attended.flatten(1, 2)[:, : shape[-2]].reshape(shape)
