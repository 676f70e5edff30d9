"""One layer against its equations written out, with nothing fused."""

import math

import pytest
import torch
from toys import large_weights

from ltm_pyro.models.decoder.attention import window_mask
from ltm_pyro.models.decoder.block import Block, FeedForward
from ltm_pyro.models.decoder.rotary import rotary_table, rotate

WIDTH, HEADS, TOKENS, THOUGHTS = 16, 2, 6, 3


def normed(x, norm):
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight


def attended(heads, h, context, h_table, context_table, sees):
    """Softmax attention, head by head, of the states h (T, D) on a context."""
    outputs = []
    for head in range(HEADS):
        channels = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        q = rotate(h @ heads.query.weight[channels].T, h_table)
        k = rotate(context @ heads.key.weight[channels].T, context_table)
        scores = (q @ k.T / math.sqrt(WIDTH // HEADS)).masked_fill(~sees, -math.inf)
        outputs.append(scores.softmax(-1) @ (context @ heads.value.weight[channels].T))
    return torch.cat(outputs, -1) @ heads.output.weight.T


def by_hand(block, h, z, table, z_table, sees):
    x = normed(h, block.norm_1)
    h = h + attended(block.self_attention, x, x, table, table, sees)
    if z is not None:
        everything = torch.ones(TOKENS, THOUGHTS, dtype=torch.bool)
        h = h + attended(block.cross_attention, normed(h, block.norm_2), z, table, z_table, everything)
    x, mlp = normed(h, block.norm_3), block.feed_forward
    gate = x @ mlp.gate.weight.T
    return h + (gate * gate.sigmoid() * (x @ mlp.up.weight.T)) @ mlp.down.weight.T


@pytest.mark.parametrize("thinks", [False, True])
def test_a_block_is_its_equations(thinks):
    block = large_weights(Block(WIDTH, HEADS, thinks))
    h = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    z = torch.randn(2, THOUGHTS, WIDTH, dtype=torch.float64)
    table, z_table = rotary_table(torch.arange(TOKENS), 8), rotary_table(torch.arange(THOUGHTS) * 2, 8)
    sees = window_mask(TOKENS, 3)
    thoughts = block.cross_attention.keys_values(z, z_table) if thinks else None
    expected = [
        by_hand(block, one, z_one if thinks else None, table, z_table, sees) for one, z_one in zip(h, z, strict=True)
    ]
    torch.testing.assert_close(block(h, table, sees, thoughts), torch.stack(expected), atol=1e-10, rtol=0)


@pytest.mark.parametrize(("width", "inner"), [(12, 32), (16, 64), (512, 1376)])
def test_the_inner_width_is_eight_thirds_rounded_up_to_32(width, inner):
    with torch.device("meta"):
        assert FeedForward(width).up.weight.shape == (inner, width)
        assert FeedForward(width, 40).up.weight.shape == (40, width)
