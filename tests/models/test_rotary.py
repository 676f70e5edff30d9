"""Rotary positions: a position turns, so that only distances matter."""

import torch

from ltm_pyro.models.decoder.rotary import rotary_table, rotate


def turned(vector, position):
    table = rotary_table(torch.tensor([position]), len(vector))
    return rotate(vector[None], table)[0]


def test_a_product_of_query_and_key_depends_on_their_distance_alone():
    q, k = torch.randn(2, 8, dtype=torch.float64)
    near, far = turned(q, 5) @ turned(k, 2), turned(q, 15) @ turned(k, 12)
    torch.testing.assert_close(near, far, atol=1e-5, rtol=0)
    assert (near - turned(q, 15) @ turned(k, 11)).abs() > 1e-2  # another distance, another product


def test_a_turn_keeps_the_norm_and_position_0_does_not_turn():
    x = torch.randn(3, 6, 8, dtype=torch.float64)
    out = rotate(x, rotary_table(torch.arange(6), 8))
    torch.testing.assert_close(out.norm(dim=-1), x.norm(dim=-1), atol=1e-6, rtol=0)
    torch.testing.assert_close(out[:, 0], x[:, 0])
    assert not torch.allclose(out[:, 1], x[:, 1])


def test_pairs_are_neighbouring_channels_and_the_first_turns_by_one_radian_a_position():
    east = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    angles = torch.tensor([2.0, 2.0 / 100.0], dtype=torch.float64)  # theta^(-2i/d) with theta 10,000 and d = 4
    expected = torch.stack((angles.cos(), angles.sin()), -1).flatten()
    torch.testing.assert_close(turned(east, 2), expected, atol=1e-6, rtol=0)
