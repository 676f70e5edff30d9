import pytest
import torch
from torch import nn

from ltm_pyro.models.decoder.norm import RMSNorm


@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 5, 8)])
@pytest.mark.parametrize("learns", ["both", "input", "weight"])
def test_values_and_gradients_are_those_of_the_definition(shape, learns):
    torch.manual_seed(0)
    ours = RMSNorm(8, eps=1e-5).double()
    nn.init.normal_(ours.weight)
    ours.weight.requires_grad_(learns != "input")
    x = torch.randn(shape, dtype=torch.float64, requires_grad=learns != "weight")
    slope = torch.randn(shape, dtype=torch.float64)
    by_hand = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * ours.weight
    assert torch.allclose(ours(x), by_hand, rtol=1e-13)
    learning = [t for t in (x, ours.weight) if t.requires_grad]
    found = torch.autograd.grad(ours(x), learning, slope)
    for mine, exact in zip(found, torch.autograd.grad(by_hand, learning, slope), strict=True):
        assert torch.allclose(mine, exact, rtol=1e-11, atol=1e-13)


def test_a_vector_of_zeros_has_a_finite_gradient():
    x = torch.zeros(1, 8, requires_grad=True)
    RMSNorm(8, eps=1e-5)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_of_half_precision_it_is_pytorch_s_which_counts_in_float32():
    ours, plain = RMSNorm(8, eps=1e-5).bfloat16(), nn.RMSNorm(8, eps=1e-5).bfloat16()
    x = torch.randn(3, 8, dtype=torch.bfloat16)
    assert torch.equal(ours(x), plain(x))
