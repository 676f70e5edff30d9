"""Log-probabilities of tokens are those of a softmax over all logits, and so are their gradients."""

import pytest
import torch

from ltm_pyro.models.decoder import cross_entropy
from ltm_pyro.models.decoder.cross_entropy import token_nats

N, D, V = 150, 6, 11


@pytest.fixture(params=[64, 150, 7])
def chunks(request, monkeypatch):
    """So many rows at once, so that their number does not divide N."""
    monkeypatch.setattr(cross_entropy, "FEWEST", 1)
    monkeypatch.setattr(cross_entropy, "MOST", request.param)


def problem(held):
    rows, weight = torch.randn(N, D, dtype=torch.float64), torch.randn(V, D, dtype=torch.float64)
    return rows.requires_grad_(), weight.requires_grad_(not held), torch.randint(V, (N,))


def by_hand(rows, weight, targets):
    return torch.log_softmax(rows @ weight.T, -1)[torch.arange(N), targets]


@pytest.mark.parametrize("held", [True, False])
def test_values_and_gradients_are_those_of_the_softmax(held, chunks):
    rows, weight, targets = problem(held)
    outer = torch.randn(N, dtype=torch.float64)
    learn = [rows] if held else [rows, weight]
    ours, expected = token_nats(rows, weight, targets), by_hand(rows, weight, targets)
    torch.testing.assert_close(ours, expected)
    for one, other in zip(
        torch.autograd.grad((outer * ours).sum(), learn),
        torch.autograd.grad((outer * expected).sum(), learn),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_without_gradients_the_values_are_the_same():
    rows, weight, targets = problem(held=False)
    with torch.no_grad():
        torch.testing.assert_close(token_nats(rows, weight, targets), by_hand(rows, weight, targets))


def test_a_hopeless_token_has_a_finite_value_and_gradient():
    rows = torch.tensor([[400.0]], requires_grad=True)
    nats = token_nats(rows, torch.tensor([[1.0], [-1.0]]), torch.tensor([1]))
    nats.sum().backward()
    assert nats.item() == -800
    assert rows.grad.item() == -2


def test_a_second_derivative_is_refused_and_not_wrong():
    rows, weight, targets = problem(held=True)
    (slope,) = torch.autograd.grad(token_nats(rows, weight, targets).square().sum(), rows, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_in_half_precision_only_the_products_are_rounded():
    rows, weight, targets = problem(held=True)
    rows = rows.float().detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        nats = token_nats(rows, weight.float(), targets)
    (slope,) = torch.autograd.grad(nats.sum(), rows)
    expected = by_hand(rows, weight.float(), targets)
    assert nats.dtype == slope.dtype == torch.float32
    torch.testing.assert_close(nats, expected, atol=0.05, rtol=0.02)
    torch.testing.assert_close(slope, torch.autograd.grad(expected.sum(), rows)[0], atol=0.05, rtol=0.05)
