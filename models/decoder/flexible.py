"""Sliding-window attention for compiled passes on CUDA, which skips the blocks that no query sees."""

from __future__ import annotations

import torch
from torch import Tensor

CHANNELS = (16, 32, 64, 128, 256)  # of a head, that its kernels are made for


class FlexibleWindow:
    """Causal attention within a window by FlexAttention (Dong et al., 2024, arXiv 2412.05496), for one length.

    Outside of `torch.compile` it works too, but forms all scores; on a CPU it has no gradient.

    Args:
        length: T.
        window: how many of the last tokens, the current one included, a token sees.
        device: of what it will attend to.
    """

    def __init__(self, length: int, window: int, device: torch.device | str) -> None:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        self.attention = flex_attention
        self.blocks = create_block_mask(
            lambda row, head, query, key: (key <= query) & (key > query - window),
            None,
            None,
            length,
            length,
            device=str(device),
        )

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend, shape (N, H, T, channels)."""
        return self.attention(q, k, v, block_mask=self.blocks)


def flexible_window(length: int, window: int, channels: int, device: torch.device) -> FlexibleWindow | None:
    """The window where it is of use: on CUDA, for the heads that there are kernels for; else None."""
    if device.type != "cuda" or channels not in CHANNELS:
        return None
    return FlexibleWindow(length, window, device)
