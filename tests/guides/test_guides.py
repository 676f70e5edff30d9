"""What every guide keeps. A new guide is one more entry in `GUIDES`."""

import pyro
import pytest
import torch
from pyro import poutine
from toys import decoder_with, start

from ltm_pyro import (
    ELBO,
    AbstractGuide,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    MeanFieldGuide,
)

GUIDES = {
    "mean field": MeanFieldGuide,
    "mean field, narrow": lambda z_shape: MeanFieldGuide(z_shape, sigma=0.1),
}
every_guide = pytest.mark.parametrize("make", GUIDES.values(), ids=GUIDES.keys())
TIGHT = {"atol": 1e-9, "rtol": 0}


def fitted(make, tiny, x, mask=None, steps=5, seed=0):
    """A guide fitted on a batch, with the seed of the noise."""
    guide = make(tiny.decoder.z_shape).double()
    pyro.set_rng_seed(seed)
    FastLoop(ELBO(2), steps).fit(tiny.model, guide, x, mask)
    return guide


def local_copies(guide):
    return [row.detach().clone() for row in guide.local_parameters()]


def assert_rows_equal(ones, others, row=slice(None)):
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one[row], other[row], **TIGHT)


@every_guide
def test_it_has_a_row_a_sequence_held_apart_from_its_own_parameters(make, tiny):
    guide = make(tiny.decoder.z_shape)
    own = dict(guide.state_dict())
    guide.start(tiny.x, prior=tiny.model.prior())
    assert isinstance(guide, AbstractGuide)
    assert all(len(row) == 3 and row.requires_grad and row.is_leaf for row in guide.local_parameters())
    assert not {id(p) for p in guide.parameters()} & {id(row) for row in guide.local_parameters()}
    assert guide.state_dict().keys() == own.keys()


@every_guide
def test_it_samples_the_models_site(make, tiny):
    guide = make(tiny.decoder.z_shape).double()
    start(guide, tiny.model, tiny.x)
    site = poutine.trace(guide).get_trace(tiny.x).nodes["z"]
    assert site["fn"].batch_shape == (3,)
    assert site["fn"].event_shape == tiny.decoder.z_shape
    assert site["fn"].has_rsample
    assert guide(tiny.x).shape == (3, *tiny.decoder.z_shape)
    with pyro.plate("particles", 5, dim=-2):
        assert guide(tiny.x).shape == (5, 3, *tiny.decoder.z_shape)
    assert len(pyro.get_param_store()) == 0


@every_guide
def test_the_fast_loop_brings_the_bound_close_to_the_evidence(make, toy):
    """Close: within what the family lacks, here about a nat, where the start lacks several."""
    guide, evidence = make(toy.z_shape).double(), toy.evidence(toy.x)
    FastLoop(ELBO(), steps=0).fit(toy, guide, toy.x)
    assert (evidence - ELBO(2000).terms(toy, guide, toy.x).bound).min() > 3
    FastLoop(ELBO(8), steps=100, learning_rate=0.2).fit(toy, guide, toy.x)
    gap = evidence - ELBO(2000).terms(toy, guide, toy.x).bound
    assert gap.max() < 1.5
    assert gap.min() > -0.1


@every_guide
def test_a_fresh_batch_starts_fresh(make, tiny):
    guide = fitted(make, tiny, tiny.x)
    first = local_copies(guide)
    guide.start(tiny.texts(3), prior=tiny.model.prior())
    guide.start(tiny.x, prior=tiny.model.prior())
    assert not torch.allclose(first[0], guide.local_parameters()[0])
    pyro.set_rng_seed(0)
    FastLoop(ELBO(2), 5).fit(tiny.model, guide, tiny.x)
    assert_rows_equal(first, local_copies(guide))


@every_guide
def test_a_posterior_does_not_depend_on_its_batch_mates(make, tiny):
    other = torch.cat((tiny.x[:1], tiny.texts(2)))
    one, two = fitted(make, tiny, tiny.x), fitted(make, tiny, other)
    assert_rows_equal(local_copies(one), local_copies(two), row=0)
    assert (one.local_parameters()[0] - two.local_parameters()[0])[1:].abs().max() > 1e-3
    for bound in (ELBO(4), ImportanceWeighted(4)):
        values = []
        for guide, x in ((one, tiny.x), (two, other)):
            pyro.set_rng_seed(1)
            values.append(bound.terms(tiny.model, guide, x).bound)
        torch.testing.assert_close(values[0][0], values[1][0], **TIGHT)
        assert (values[0] - values[1])[1:].abs().min() > 1e-3


@every_guide
def test_a_posterior_does_not_depend_on_padding(make, tiny):
    short = tiny.x[:, :12]
    mask = torch.arange(20).expand(3, 20) < 12
    one, two = fitted(make, tiny, short), fitted(make, tiny, tiny.x, mask)
    assert_rows_equal(local_copies(one), local_copies(two))
    whole = fitted(make, tiny, tiny.x)
    assert (one.local_parameters()[0] - whole.local_parameters()[0]).abs().max() > 1e-3


def test_the_mean_field_guide_starts_at_the_prior(tiny):
    guide = MeanFieldGuide((1, 2, 2))
    guide.start(tiny.x, prior=GaussianPrior((1, 2, 2), sigma=0.3)())
    assert torch.equal(guide.mu, torch.zeros(3, 1, 2, 2))
    torch.testing.assert_close(guide.log_sigma.exp(), torch.full((3, 1, 2, 2), 0.3))
    guide = MeanFieldGuide(tiny.decoder.z_shape)
    guide.start(tiny.x, prior=tiny.model.prior())
    torch.testing.assert_close(ELBO().terms(tiny.model, guide, tiny.x).kl, torch.zeros(3, dtype=torch.float64))


def test_the_mean_field_guide_starts_at_zero_and_one_where_the_prior_has_no_moments(tiny):
    guide = MeanFieldGuide((1, 2, 2))
    for prior in (None, pyro.distributions.Cauchy(torch.ones(1, 2, 2), 2.0).to_event(3)):
        guide.start(tiny.x, prior=prior)
        assert torch.equal(guide.mu, torch.zeros(3, 1, 2, 2))
        assert torch.equal(guide.log_sigma, torch.zeros(3, 1, 2, 2))


def test_the_mean_field_guide_starts_where_it_is_told(tiny):
    guide = MeanFieldGuide((1, 2, 2), sigma=0.1)
    guide.start(tiny.x, prior=GaussianPrior((1, 2, 2), sigma=0.3)())
    torch.testing.assert_close(guide.log_sigma.exp(), torch.full((3, 1, 2, 2), 0.1))


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_a_standard_deviation_that_is_not_positive_is_refused(sigma):
    with pytest.raises(InputError, match="sigma="):
        MeanFieldGuide((1, 2, 2), sigma=sigma)


@every_guide
def test_a_guide_that_has_not_seen_the_batch_says_so(make, tiny):
    guide = make(tiny.decoder.z_shape)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x)
    guide.start(tiny.x)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x[:2])


def test_the_empty_guide_has_nothing():
    guide = EmptyGuide()
    guide.start(torch.zeros(2, 3, dtype=torch.long))
    assert guide.local_parameters() == []
    assert list(guide.parameters()) == []
    assert guide(torch.zeros(2, 3, dtype=torch.long)) is None
    assert decoder_with(thoughts=0).z_shape[1] == 0
