"""The loops that are compared are equal: the plain and the lean one do what the library does, to rounding."""

from copy import deepcopy

import pytest
import torch

from benchmarks.generation.__main__ import written
from benchmarks.reference.decoder import PlainDecoder
from benchmarks.reference.decoder import _renamed as renamed
from benchmarks.reference.loop import PlainLoop
from benchmarks.timing.sizes import Sizes
from benchmarks.training.__main__ import ours
from benchmarks.training.lean import LeanLoop
from ltm_pyro import ELBO, GaussianPrior, LatentThoughtModel
from ltm_pyro.generation import Sampling

SIZES = [
    Sizes(vocabulary=23, width=16, layers=3, heads=2, thoughts=2, window=5, length=30, batch=3, fast_steps=4),
    Sizes(vocabulary=11, width=8, layers=1, heads=1, thoughts=3, window=40, length=13, batch=2, fast_steps=1),
    Sizes(vocabulary=40, width=24, layers=2, heads=3, thoughts=1, window=4, length=96, batch=2, fast_steps=3),  # bands
]


@pytest.fixture(params=SIZES, ids=["three layers", "one layer", "a long text"])
def sizes(request):
    return request.param


def pieces(sizes):
    """A decoder in float64 whose every part matters, and texts."""
    decoder = sizes.decoder(thought_scale=0.7).double()
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.3 if weight.dim() < 2 else 2 / sizes.width**0.5)
    return decoder, sizes.texts()


@pytest.fixture
def doubles():
    """Tensors that the loops make by themselves are in float64 too."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gradients(module):
    return {name: weight.grad for name, weight in module.named_parameters()}


def close(one, other, tolerance=1e-9):
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_the_plain_decoder_is_the_decoder(sizes, doubles):
    decoder, x = pieces(sizes)
    z = torch.randn(sizes.batch, *decoder.z_shape)
    close(PlainDecoder(decoder)(x, z), decoder.token_log_prob(x, z))


def test_both_write_the_same_text(sizes, doubles):
    decoder, _ = pieces(sizes)
    z, model = torch.randn(3, *decoder.z_shape), LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    plain = PlainDecoder(decoder)
    torch.manual_seed(1)
    text = written(model, z, sizes.length)
    assert len(text.unique()) > 3
    torch.manual_seed(1)
    assert torch.equal(plain.write(z, sizes.length, Sampling().draw), text)


def test_the_plain_elbo_and_its_gradients_are_ours(sizes, doubles):
    decoder, x = pieces(sizes)
    svi, plain = ours(deepcopy(decoder), 1), PlainLoop(PlainDecoder(decoder))
    svi.guide.start(x, prior=svi.model.prior())
    for row in svi.guide.local_parameters():
        row.data.normal_(std=0.5)
    mu, log_sigma = rows = [row.detach().clone().requires_grad_() for row in svi.guide.local_parameters()]
    torch.manual_seed(1)
    elbo = ELBO().terms(svi.model, svi.guide, x).objective
    torch.manual_seed(1)
    other = plain.elbo(x, mu, log_sigma)
    close(other, elbo)
    elbo.sum().backward()
    other.sum().backward()
    for mine, its in zip(rows, svi.guide.local_parameters(), strict=True):
        close(mine.grad, its.grad)
    mine = gradients(plain.decoder)
    for name, gradient in gradients(svi.model.decoder).items():
        close(mine[renamed(name)], gradient)


@pytest.mark.parametrize("kind", ["plain", "lean"])
def test_two_training_steps_give_the_same_bound_posterior_and_weights(kind, sizes, doubles):
    decoder, x = pieces(sizes)
    svi = ours(deepcopy(decoder), sizes.fast_steps)
    if kind == "plain":
        loop = PlainLoop(PlainDecoder(decoder), sizes.fast_steps)
    else:
        loop = LeanLoop(deepcopy(decoder), sizes.fast_steps)
    for seed in range(2):
        torch.manual_seed(seed)
        terms = svi.step(x)
        torch.manual_seed(seed)
        close(loop.step(x), terms.elbo, 1e-6)
    torch.manual_seed(5)
    svi.fit(x)
    torch.manual_seed(5)
    for mine, its in zip(loop.fit(x), svi.guide.local_parameters(), strict=True):
        close(mine.detach(), its.detach(), 1e-6)
    mine = dict(loop.decoder.named_parameters())
    for name, weight in svi.model.decoder.named_parameters():
        close(mine[renamed(name) if kind == "plain" else name], weight, 1e-6)
