"""The model is its factorisation, and a Pyro program like any other."""

import math

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import Predictive
from toys import decoder_with

from ltm_pyro import GaussianPrior, InputError, LatentThoughtModel, TokenSequence

TIGHT = {"atol": 1e-10, "rtol": 0}


def by_hand(tiny, x, z, mask=None):
    """log p(z) + log p(x | z) over the batch, from the normal density and plain logits."""
    prior = -0.5 * (z**2 + math.log(2 * math.pi)).sum()
    nats = tiny.decoder.logits(tiny.decoder.inputs(x), z).log_softmax(-1).gather(-1, x[..., None]).squeeze(-1)
    return prior + (nats if mask is None else nats * mask).sum()


@pytest.mark.parametrize("masked", [False, True])
def test_the_joint_density_is_the_sum_of_prior_and_tokens_by_hand(tiny, masked):
    mask = torch.rand(tiny.x.shape) < 0.5 if masked else None
    conditioned = pyro.condition(tiny.model, {"z": tiny.z})
    total = poutine.trace(conditioned).get_trace(tiny.x, mask).log_prob_sum()
    torch.testing.assert_close(total, by_hand(tiny, tiny.x, tiny.z, mask), **TIGHT)


def test_conditioning_from_outside_is_the_same_as_giving_x(tiny):
    given = poutine.trace(pyro.condition(tiny.model, {"z": tiny.z})).get_trace(tiny.x)
    outside = poutine.trace(pyro.condition(tiny.model, {"z": tiny.z, "x": tiny.x})).get_trace(batch_size=3)
    torch.testing.assert_close(given.log_prob_sum(), outside.log_prob_sum(), **TIGHT)


def test_a_text_shorter_than_the_decoders_length_is_scored_as_it_is(tiny):
    x = tiny.x[:, :9]
    trace = poutine.trace(pyro.condition(tiny.model, {"z": tiny.z})).get_trace(x)
    torch.testing.assert_close(trace.log_prob_sum(), by_hand(tiny, x, tiny.z), **TIGHT)


def test_the_sites_are_what_the_guides_expect(tiny):
    sites = poutine.trace(tiny.model).get_trace(tiny.x).nodes
    assert sites["z"]["fn"].batch_shape == (3,)
    assert sites["z"]["fn"].event_shape == tiny.decoder.z_shape
    assert sites["x"]["fn"].batch_shape == (3,)
    assert sites["x"]["fn"].event_shape == (20,)
    assert sites["x"]["is_observed"]
    assert not sites["z"]["is_observed"]


def test_without_a_text_it_writes_one(tiny):
    assert tiny.model().shape == (1, 20)
    text = tiny.model(batch_size=4)
    assert text.shape == (4, 20)
    assert text.min() >= 0
    assert text.max() < 30
    assert not torch.equal(text, tiny.model(batch_size=4))


def test_it_writes_as_many_tokens_as_the_mask_has(tiny):
    assert tiny.model(mask=torch.ones(2, 7, dtype=torch.bool), batch_size=2).shape == (2, 7)


def test_the_token_before_reaches_the_decoder(tiny):
    conditioned = pyro.condition(tiny.model, {"z": tiny.z})
    previous = torch.tensor([7, 8, 9])
    plain = poutine.trace(conditioned).get_trace(tiny.x).log_prob_sum()
    assert (poutine.trace(conditioned).get_trace(tiny.x, previous=previous).log_prob_sum() - plain).abs() > 1e-6


@pytest.mark.parametrize("parallel", [False, True])
def test_predictive_writes_from_the_prior_and_from_a_posterior(tiny, parallel):
    prior = Predictive(tiny.model, num_samples=4, parallel=parallel)(batch_size=3)
    assert prior["x"].shape == (4, 3, 20)
    assert prior["z"].shape == (4, 3, *tiny.decoder.z_shape)
    posterior = Predictive(tiny.model, guide=tiny.guide, num_samples=4, parallel=parallel)(batch_size=3)
    assert posterior["x"].shape == (4, 3, 20)


def test_it_holds_no_parameters_but_those_of_prior_and_decoder(tiny):
    assert list(tiny.model.parameters()) == list(tiny.decoder.parameters())
    poutine.trace(tiny.model).get_trace(tiny.x)
    assert len(pyro.get_param_store()) == 0


def test_a_prior_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"\(2, 3, 16\).*\(2, 2, 16\)"):
        LatentThoughtModel(GaussianPrior((2, 3, 16)), decoder_with())


def test_a_prior_of_another_width_is_carried_over_by_one_matrix():
    decoder = decoder_with()
    model = LatentThoughtModel(GaussianPrior((2, 2, 5)), decoder).double()
    assert model.projection.weight.shape == (16, 5)
    z = torch.randn(3, 2, 2, 5, dtype=torch.float64)
    x = torch.randint(30, (3, 20))
    trace = poutine.trace(pyro.condition(model, {"z": z})).get_trace(x)
    trace.compute_log_prob()
    expected = TokenSequence(decoder, z @ model.projection.weight.T).log_prob(x)
    torch.testing.assert_close(trace.nodes["x"]["log_prob"], expected)
    assert model(batch_size=4).shape == (4, 20)


def test_a_thought_that_is_carried_over_has_unit_variance_at_the_start():
    model = LatentThoughtModel(GaussianPrior((2, 2, 50)), decoder_with())
    spread = model.thoughts(model.prior().sample((2000,))).std()
    assert 0.8 < spread < 1.2
