"""Visibility: tokens see their window, and thoughts from where they stand."""

import pytest
import torch
from toys import decoder_with, large_weights

from ltm_pyro.models.decoder.attention import CrossAttention, window_mask
from ltm_pyro.models.decoder.rotary import rotary_table


def test_window_of_two_written_out():
    expected = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=torch.bool)
    assert torch.equal(window_mask(4, 2), expected)


def test_a_window_as_long_as_the_text_is_plain_causality():
    assert torch.equal(window_mask(5, 5), torch.ones(5, 5).tril().bool())


@pytest.mark.parametrize(("layers", "thoughts", "step"), [(2, 2, 5), (3, 4, 1), (2, 20, 1)])
def test_thought_keys_stand_at_multiples_of_length_by_number_of_thoughts(layers, thoughts, step):
    decoder = decoder_with(layers=layers, thoughts=thoughts, length=20)
    expected = rotary_table(torch.arange(thoughts) * step, channels=8).double()
    assert torch.equal(decoder.thought_rotary, expected)


@pytest.mark.parametrize(("thoughts", "responds"), [(1, False), (2, True)])
def test_the_answer_of_two_thoughts_depends_on_where_a_token_stands(thoughts, responds):
    """The same token state at every position; a lone thought has all the attention wherever it stands."""
    attention = large_weights(CrossAttention(width=16, heads=2), scale=0.8)
    h = torch.randn(1, 1, 16, dtype=torch.float64).expand(1, 6, 16)
    keys = attention.keys_values(
        torch.randn(1, thoughts, 16, dtype=torch.float64), rotary_table(torch.arange(thoughts), 8)
    )
    out = attention(attention.queries(h, rotary_table(torch.arange(6), 8)), keys)
    assert ((out - out[:, :1]).abs().max() > 1e-3) == responds
