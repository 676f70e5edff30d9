"""Log-probabilities of tokens are those of a softmax over all logits, and so are their gradients."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltm_pyro.models.decoder import cross_entropy
from ltm_pyro.models.decoder.cross_entropy import token_nats

N, D, V = 150, 6, 11


@pytest.fixture(params=[64, 150, 7])
def chunks(request, monkeypatch):
    """So many rows at once, so that their number does not divide N."""
    for name, rows in (("LEARNING", 1), ("FEWEST", 1), ("MOST", request.param)):
        monkeypatch.setattr(cross_entropy, name, rows)


@pytest.fixture(params=["fused", "recomputed"])
def way(request, monkeypatch):
    """Method for a weight that learns: torch's own function, where there is one, or chunks."""
    if request.param == "recomputed":
        monkeypatch.setattr(cross_entropy, "FUSED", None)
    elif cross_entropy.FUSED is None:
        pytest.skip("linear_cross_entropy is new in torch 2.13")


class LargestTensor(TorchDispatchMode):
    """The most numbers that any tensor has which is made within."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def problem(held):
    rows, weight = torch.randn(N, D, dtype=torch.float64), torch.randn(V, D, dtype=torch.float64)
    return rows.requires_grad_(), weight.requires_grad_(not held), torch.randint(V, (N,))


def by_hand(rows, weight, targets):
    return torch.log_softmax(rows @ weight.T, -1)[torch.arange(N), targets]


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.usefixtures("chunks", "way")
def test_values_and_gradients_are_those_of_the_softmax(held):
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


@pytest.mark.skipif(cross_entropy.FUSED is None, reason="linear_cross_entropy is new in torch 2.13")
@pytest.mark.usefixtures("chunks")
def test_both_ways_agree_to_rounding(monkeypatch):
    rows, weight, targets = problem(held=False)
    outer = torch.randn(N, dtype=torch.float64)

    def results():
        nats = token_nats(rows, weight, targets)
        return nats, *torch.autograd.grad((outer * nats).sum(), (rows, weight))

    fused = results()
    monkeypatch.setattr(cross_entropy, "FUSED", None)
    for one, other in zip(results(), fused, strict=True):
        torch.testing.assert_close(one, other, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("held", [True, False])
def test_no_more_than_a_chunk_of_logits_is_held(held, way, monkeypatch):
    for name, rows in (("LEARNING", 8), ("FEWEST", 1), ("MOST", 8)):
        monkeypatch.setattr(cross_entropy, name, rows)
    rows, weight = torch.randn(2000, 4, requires_grad=True), torch.randn(50, 4, requires_grad=not held)
    kept = []
    with LargestTensor() as largest:
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.untyped_storage()) or t, lambda t: t):
            nats = token_nats(rows, weight, torch.randint(50, (2000,)))
        nats.sum().backward()
    assert largest.numbers <= max(rows.numel(), 256 * len(weight))  # 256 rows are what torch's own takes at once
    for_backward = sum({storage.data_ptr(): storage.nbytes() for storage in kept}.values())
    assert for_backward < 2000 * len(weight)  # bytes: a quarter of all logits


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


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.usefixtures("way")
def test_in_half_precision_only_the_products_are_rounded(held):
    rows, weight, targets = problem(held)
    rows, weight = (t.detach().float().requires_grad_(t.requires_grad) for t in (rows, weight))
    with torch.autocast("cpu", torch.bfloat16):
        nats = token_nats(rows, weight, targets)
    (slope,) = torch.autograd.grad(nats.sum(), rows)
    expected = by_hand(rows, weight, targets)
    assert nats.dtype == slope.dtype == torch.float32
    torch.testing.assert_close(nats, expected, atol=0.05, rtol=0.02)
    torch.testing.assert_close(slope, torch.autograd.grad(expected.sum(), rows)[0], atol=0.05, rtol=0.05)
