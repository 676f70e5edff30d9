"""Textbook implementation of the paper's decoder: dense masks, all logits, no caching."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention, silu

from ltm_pyro.models import Decoder


class Attention(nn.Module):
    """Multi-head attention of h on a source, with rotary positions on queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.wq = nn.Linear(width, width, bias=False)
        self.wk = nn.Linear(width, width, bias=False)
        self.wv = nn.Linear(width, width, bias=False)
        self.wo = nn.Linear(width, width, bias=False)

    def forward(self, h: Tensor, source: Tensor, turns: Tensor, source_turns: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in (self.wq(h), self.wk(source), self.wv(source)))
        q, k, v = (part.transpose(1, 2) for part in (turned(q, turns), turned(k, source_turns), v))  # (B, H, T, D/H)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.wo(attended.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """SwiGLU feed-forward."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = (8 * width // 3 + 31) // 32 * 32
        self.w1 = nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)
        self.w3 = nn.Linear(width, inner, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        return self.w2(silu(self.w1(h)) * self.w3(h))


class Layer(nn.Module):
    """Self-attention, cross-attention and SwiGLU, each after an RMSNorm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention, self.attention_norm = Attention(width, heads), nn.RMSNorm(width, eps=1e-5)
        self.cross_attention, self.cross_attention_norm = Attention(width, heads), nn.RMSNorm(width, eps=1e-5)
        self.feed_forward, self.ffn_norm = FeedForward(width), nn.RMSNorm(width, eps=1e-5)

    def forward(self, h: Tensor, z: Tensor, turns: Tensor, z_turns: Tensor, mask: Tensor) -> Tensor:
        n = self.attention_norm(h)
        h = h + self.attention(n, n, turns, turns, mask)
        h = h + self.cross_attention(self.cross_attention_norm(h), z, turns, z_turns, None)
        return h + self.feed_forward(self.ffn_norm(h))


class PlainDecoder(nn.Module):
    """Decoder for log p(x | z), with the weights of a `Decoder`.

    Args:
        decoder: decoder whose sizes and weights are copied.
    """

    turns: Tensor
    z_turns: Tensor
    mask: Tensor

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        (layers, thoughts, width), length = decoder.z_shape, decoder.length
        heads = decoder.blocks[0].self_attention.heads
        self.z_shape, self.length, self.bos_id = decoder.z_shape, length, decoder.bos_id
        self.thought_scale = decoder.thought_scale
        self.tok_embeddings = nn.Embedding(decoder.vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.output = nn.Linear(width, decoder.vocabulary, bias=False)
        self.output.weight = self.tok_embeddings.weight
        self.to(decoder.embedding.weight.dtype)
        positions = torch.arange(length)
        step = max(1, length // (layers * thoughts))
        self.register_buffer("turns", turns(positions, width // heads))
        self.register_buffer("z_turns", turns(torch.arange(thoughts) * step, width // heads))
        distance = positions[:, None] - positions
        self.register_buffer("mask", (distance >= 0) & (distance < decoder.window))
        self.load_state_dict(_weights_of(decoder), strict=False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Log-probability of every token given those before it, in nats, shape (B, T); z is (B, L, K, D)."""
        inputs = torch.cat((torch.full_like(x[:, :1], self.bos_id), x[:, :-1]), 1)
        logits = self.output(self.hidden(inputs, z))
        return -cross_entropy(logits.flatten(0, 1), x.flatten(), reduction="none").view_as(x)

    def hidden(self, tokens: Tensor, z: Tensor) -> Tensor:
        """Hidden states after each token, shape (B, T, D)."""
        size = tokens.shape[1]
        h, z = self.tok_embeddings(tokens), z * self.thought_scale
        for number, layer in enumerate(self.layers):
            h = layer(h, z[:, number], self.turns[:size], self.z_turns, self.mask[:size, :size])
        return self.norm(h)

    @torch.no_grad()
    def write(self, z: Tensor, tokens: int, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """Generate texts, shape (B, tokens), with a full pass for each token; only its last logits are computed.

        Args:
            z: thoughts, shape (B, L, K, D).
            tokens: number of tokens.
            draw: function from logits (B, V) to token ids (B,).
        """
        ids = z.new_full((len(z), 1), self.bos_id, dtype=torch.long)
        for _ in range(tokens):
            token = draw(self.output(self.hidden(ids, z)[:, -1]))
            ids = torch.cat((ids, token[:, None]), 1)
        return ids[:, 1:]


def turns(places: Tensor, channels: int, theta: float = 10_000.0) -> Tensor:
    """Rotations e^(i·angle) of every position and channel pair, shape (T, channels / 2)."""
    angles = torch.outer(places.float(), theta ** (-torch.arange(0, channels, 2).float() / channels))
    return torch.complex(angles.cos(), angles.sin())


def turned(x: Tensor, by: Tensor) -> Tensor:
    """RoPE on pairs of adjacent channels; x is (B, T, H, channels)."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * by[:, None].to(pairs.dtype)).flatten(-2)


NAMES = {
    "embedding.": "tok_embeddings.",
    "blocks.": "layers.",
    "norm_1.": "attention_norm.",
    "norm_2.": "cross_attention_norm.",
    "norm_3.": "ffn_norm.",
    "self_attention.": "attention.",
    "query.": "wq.",
    "key.": "wk.",
    "value.": "wv.",
    "attention.output.": "attention.wo.",
    "gate.": "w1.",
    "down.": "w2.",
    "up.": "w3.",
}


def _renamed(name: str) -> str:
    """Name of a `Decoder`'s weight in this decoder."""
    for ours, plain in NAMES.items():
        name = name.replace(ours, plain)
    return name


def _weights_of(decoder: Decoder) -> dict[str, Tensor]:
    weights = {_renamed(name): weight.detach().clone() for name, weight in decoder.named_parameters()}
    return weights | {"output.weight": weights["tok_embeddings.weight"]}
