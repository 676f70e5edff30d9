"""Tokens are drawn in the proportions that are given, however small, and never without a chance."""

import torch
from scipy.stats import chisquare

from ltm_pyro.models.drawing import draw


def test_frequencies_are_the_probabilities_which_need_not_add_up_to_one():
    weights = torch.tensor([0.0, 3.0, 0.5, 0.0, 1.0, 2.5, 0.0])
    for scale in (1e-3, 1 / 7, 40.0):
        counts = torch.bincount(draw((scale * weights).expand(70_000, -1)), minlength=7)
        assert counts[weights == 0].sum() == 0
        assert chisquare(counts[weights > 0], 10_000 * weights[weights > 0]).pvalue > 1e-3


def test_each_row_is_drawn_from_its_own():
    tokens = draw(torch.eye(5).expand(2, 3, 5, 5))
    assert torch.equal(tokens, torch.arange(5).expand(2, 3, 5))


def test_tokens_far_less_likely_than_float32_can_add_up_have_their_chance(monkeypatch):
    """Behind a token that is nearly sure stand 64 of 2^-26 each; 1 + 2^-26 is 1 in float32."""
    weights = torch.full((1, 65), 2.0**-26)
    weights[0, 0] = 1.0
    for uniform, token in ((1 - 2.0**-30, 64), (1 - 2.0**-20 + 2.0**-27, 1), (1 - 2.0**-19, 0)):
        number = torch.tensor([[uniform]], dtype=torch.float64)
        monkeypatch.setattr(torch, "rand", lambda *shape, number=number, **options: number)
        assert draw(weights).tolist() == [token]


def test_equal_generators_draw_equal_tokens():
    weights = torch.rand(50, 9)
    first, again, other = (draw(weights, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
