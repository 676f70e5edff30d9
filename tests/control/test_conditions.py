"""Contexts of values: learned ones, and those of their thoughts."""

import torch

from ltm_pyro.control import NoCondition, ThoughtCondition, ValueCondition

SHAPE = (1, 2, 3)


def test_each_value_has_a_context_of_its_own():
    contexts = ValueCondition(3, 4)(torch.tensor([2, 0, 2]))
    assert contexts.shape == (3, 4)
    assert torch.equal(contexts[0], contexts[2])
    assert not torch.equal(contexts[0], contexts[1])


def test_contexts_of_values_start_with_the_same_variance_along_each_axis():
    for values, width in ((3, 5), (4, 4), (9, 4)):
        contexts = ValueCondition(values, width).embedding.weight.detach()
        moments = torch.linalg.eigvalsh(contexts.T @ contexts / values)
        spanned = min(values, width)
        torch.testing.assert_close(moments[-spanned:], torch.ones(spanned))
        torch.testing.assert_close(moments[:-spanned], torch.zeros(width - spanned), atol=1e-5, rtol=0)


def test_contexts_of_thoughts_start_on_the_axes_along_which_values_differ():
    means = torch.zeros(200, *SHAPE, dtype=torch.float64)
    means[:, 0, 1, 2] = 5 + 3 * torch.randn(200)
    means[:, 0, 0, 0] = 0.5 * torch.randn(200)
    condition = ThoughtCondition(SHAPE, 4).double()
    condition.start_at(means)
    contexts = condition(means)
    torch.testing.assert_close(contexts.mean(0), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(contexts.var(0), torch.tensor([1.0, 1, 0, 0], dtype=torch.float64))
    standard = (means[:, 0, 1, 2] - means[:, 0, 1, 2].mean()) / means[:, 0, 1, 2].std()
    assert abs((contexts[:, 0] * standard).mean()) > 0.98


def test_equal_thoughts_have_a_context_too():
    condition = ThoughtCondition(SHAPE, 2)
    condition.start_at(torch.ones(3, *SHAPE))
    assert condition(torch.ones(1, *SHAPE)).isfinite().all()


def test_no_condition_is_a_context_of_zeros():
    assert NoCondition(3)(torch.ones(2, 1, 1, 5)).tolist() == [[0.0] * 3] * 2
