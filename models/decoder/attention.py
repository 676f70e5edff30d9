"""Attention of tokens on their recent past, and of tokens on thoughts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ltm_pyro.models.decoder.banded import banded_attention
from ltm_pyro.models.decoder.flexible import FlexibleWindow
from ltm_pyro.models.decoder.rotary import rotate


def window_mask(length: int, window: int) -> Tensor:
    """Mask of the keys that a query may see: itself and the `window` - 1 tokens before it. Boolean, shape (T, T)."""
    every = torch.ones(length, length, dtype=torch.bool)
    return every.tril().triu(1 - window)


class _Heads(nn.Module):
    """The four projections of multi-head attention, without biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (..., T, D) -> (..., H, T, D/H)

    def merge(self, x: Tensor) -> Tensor:
        return self.output(x.transpose(-3, -2).flatten(-2))  # (..., H, T, D/H) -> (..., T, D)


class SelfAttention(_Heads):
    """Causal attention in which a token sees itself and the `window` - 1 tokens before it."""

    def forward(self, h: Tensor, table: Tensor, mask: Tensor | FlexibleWindow | None) -> Tensor:
        """Attend, shape (..., T, D) to (..., T, D).

        Args:
            h: token states.
            table: rotary table of the tokens' positions.
            mask: True where a query sees a key: shape (T, T), or the `band_masks` of a long text,
                shape (blocks, C, 2C), or what attends in their stead; None when every query sees every key there is.
        """
        rows = h.reshape(-1, *h.shape[-2:])  # (N, T, D): the fused kernels take four dimensions
        q, k, v = (self.split(project(rows)) for project in (self.query, self.key, self.value))
        q, k = rotate(q, table), rotate(k, table)
        if isinstance(mask, FlexibleWindow):
            attended = mask(q, k, v)
        elif mask is not None and mask.dim() == 3:
            attended = banded_attention(q, k, v, mask)
        else:
            attended = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.merge(attended).view_as(h)


class CrossAttention(_Heads):
    """Attention of every token on its layer's thoughts."""

    def keys_values(self, z: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer's thoughts, each (..., H, K, D/H) from z (..., K, D)."""
        return rotate(self.split(self.key(z)), table), self.split(self.value(z))

    def queries(self, h: Tensor, table: Tensor) -> Tensor:
        """Queries of each token, (..., H, T, D/H) from h (..., T, D)."""
        return rotate(self.split(self.query(h)), table)

    def shares(self, queries: Tensor, thoughts: tuple[Tensor, Tensor]) -> Tensor:
        """The share of each token's attention that each thought has, mean over heads, (..., T, K): it adds up to 1."""
        scores = queries @ thoughts[0].transpose(-2, -1) / queries.shape[-1] ** 0.5
        return scores.softmax(-1).mean(-3)

    def forward(self, queries: Tensor, thoughts: tuple[Tensor, Tensor]) -> Tensor:
        """The answers to `queries`, shape (B, T, D); thoughts with leading particles S give (S, B, T, D)."""
        attended, leading = self.attend(queries, thoughts)
        answers = self.merge(attended)
        return answers.view(*leading, *answers.shape[-2:])

    def attend(self, queries: Tensor, thoughts: tuple[Tensor, Tensor]) -> tuple[Tensor, torch.Size]:
        """The thoughts' values as each query weighs them, (N, H, T, D/H), and the dimensions that are N."""
        own, leading = queries.shape[:-3], thoughts[0].shape[:-3]
        if leading[-len(own) :] != own:
            leading = torch.broadcast_shapes(own, leading)
        q, k, v = (t.expand(*leading, *t.shape[-3:]).reshape(-1, *t.shape[-3:]) for t in (queries, *thoughts))
        return scaled_dot_product_attention(q, k, v), leading
