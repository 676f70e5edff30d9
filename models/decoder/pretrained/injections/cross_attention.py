"""Thoughts behind gated cross-attentions between the body's layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention

from ltm_pyro.models.decoder.pretrained.injections.abstract import AbstractInjection, BodySizes, Inserted

HEADS, CHANNELS = 4, 32  # of an adapter's attention, in every body


class CrossAttentionInjection(AbstractInjection):
    """Thoughts of gated cross-attentions, one before every few layers of the body.

    The gates start at zero, so that the decoder is the frozen model itself, to the bit, until it learns otherwise
    (Flamingo: Alayrac et al., 2022, arXiv 2204.14198, section 2.2).

    Args:
        sizes: of the body.
        thoughts: K.
        width: D.
        scale: the factor on z.
        every: layers of the body from one adapter to the next.
    """

    def __init__(self, sizes: BodySizes, thoughts: int, width: int, scale: float, every: int) -> None:
        super().__init__()
        self.before = tuple(range(min(every, sizes.layers) - 1, sizes.layers, every))
        self.layers, self.alpha = len(self.before), scale
        self.adapters = nn.ModuleList(GatedCrossAttention(sizes.width, width) for _ in self.before)

    def forward(self, z: Tensor | None, rows: int) -> Inserted:
        return Inserted(thoughts=None if z is None else (z * self.alpha).unbind(1))


class GatedCrossAttention(nn.Module):
    r"""Attention of hidden states to thoughts, :math:`h \leftarrow h + \tanh(g)\, W_o\, \mathrm{attn}(W_q h, z)`.

    Args:
        width: C of the hidden states.
        thought_width: D.
    """

    def __init__(self, width: int, thought_width: int) -> None:
        super().__init__()
        inner = HEADS * CHANNELS
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(thought_width, inner, bias=False)
        self.value = nn.Linear(thought_width, inner, bias=False)
        self.output = nn.Linear(inner, width, bias=False)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, h: Tensor, thoughts: Tensor) -> Tensor:
        """Hidden states, shape (N, T, C), after attention to thoughts, shape (N, K, D)."""
        seen = rms_norm(h.float(), h.shape[-1:]).to(self.query.weight.dtype)
        thoughts = thoughts.to(self.key.weight.dtype)
        q, k, v = (
            linear(x, layer.weight).unflatten(-1, (HEADS, CHANNELS)).transpose(1, 2)
            for x, layer in ((seen, self.query), (thoughts, self.key), (thoughts, self.value))
        )
        answer = self.output(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return h + (self.gate.tanh() * answer).to(h.dtype)
