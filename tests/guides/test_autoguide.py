"""Pyro's autoguides, a row a sequence."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import autoguide as autoguides

from ltm_pyro import ELBO, AutoGuideAdapter, FastLoop, ImportanceWeighted, InputError, MeanFieldGuide, MixturePrior

APART = ["AutoNormal", "AutoNormalMessenger", "AutoHierarchicalNormalMessenger", "AutoRegressiveMessenger"]
COUPLED = [
    "AutoDiagonalNormal",
    "AutoMultivariateNormal",
    "AutoLowRankMultivariateNormal",
    "AutoIAFNormal",
    "AutoLaplaceApproximation",
    "AutoGaussian",
    "AutoStructured",
]
each_apart = pytest.mark.parametrize("name", APART)


def fit(model, x, name, steps=5, **options):
    guide = AutoGuideAdapter(model.prior.z_shape, name, **options)
    pyro.set_rng_seed(0)
    FastLoop(ELBO(4), steps, 0.1, 0.02).fit(model, guide, x)
    return guide


def rows(guide):
    return [row.detach().clone() for row in guide.local_parameters()]


@each_apart
def test_it_arrives_at_the_best_mean_field_posterior(name, toy):
    guide = fit(toy, toy.x, name, steps=400)
    best = toy.elbo(toy.x, *toy.best_mean_field(toy.x))
    bound = ELBO(4000).terms(toy, guide, toy.x).bound
    assert (bound - best).abs().max() < 0.15
    start = ELBO(4000).terms(toy, fit(toy, toy.x, name, steps=0), toy.x).bound
    assert (start < best - 2).all()


def test_auto_normal_is_the_mean_field_guide(toy):
    """Alike in the start, in its exact KL, and in where it arrives."""
    mine, theirs = MeanFieldGuide(toy.z_shape), fit(toy, toy.x, "AutoNormal", steps=0)
    FastLoop(ELBO(), 0).fit(toy, mine, toy.x)
    for guide in (mine, theirs):
        terms = ELBO().terms(toy, guide, toy.x)
        assert terms.kl_closed_form
        torch.testing.assert_close(terms.kl, torch.zeros(4, dtype=torch.float64))
        assert terms.kl_per_layer.shape == (4, 2)


def test_auto_delta_arrives_at_the_mode(toy):
    guide = fit(toy, toy.x, "AutoDelta", steps=600)
    assert not guide.has_density
    torch.testing.assert_close(guide(toy.x).flatten(1), toy.posterior_mean(toy.x), atol=1e-2, rtol=0)


@each_apart
def test_its_rows_are_local_and_nobody_elses(name, tiny):
    guide = fit(tiny.model, tiny.x, name)
    assert guide.has_density
    assert all(row.shape == (3, *tiny.decoder.z_shape) and row.is_leaf for row in guide.local_parameters())
    assert list(guide.parameters()) == []
    assert guide.state_dict() == {}
    assert len(pyro.get_param_store()) == 0
    assert not pyro.settings.get("module_local_params")
    assert all(parameter.grad is None for parameter in tiny.model.parameters())
    with pyro.plate("particles", 5, dim=-2):
        assert guide(tiny.x).shape == (5, 3, *tiny.decoder.z_shape)


@each_apart
def test_a_posterior_does_not_depend_on_its_batch_mates(name, tiny):
    other = torch.cat((tiny.x[:1], tiny.texts(2)))
    one, two = (fit(tiny.model, x, name) for x in (tiny.x, other))
    for first, second in zip(rows(one), rows(two), strict=True):
        torch.testing.assert_close(first[0], second[0], atol=1e-9, rtol=0)
    assert (rows(one)[0] - rows(two)[0])[1:].abs().max() > 1e-3
    bounds = []
    for guide, x in ((one, tiny.x), (two, other)):
        pyro.set_rng_seed(1)
        bounds.append(ImportanceWeighted(4).terms(tiny.model, guide, x).bound)
    torch.testing.assert_close(bounds[0][0], bounds[1][0], atol=1e-9, rtol=0)


def test_a_fresh_batch_starts_fresh(tiny):
    guide = fit(tiny.model, tiny.x, "AutoNormal")
    guide.start(tiny.texts(2), prior=tiny.model.prior())
    loc, scale = rows(guide)
    assert torch.equal(loc, torch.zeros(2, *tiny.decoder.z_shape))
    assert scale.unique().numel() == 1


def test_a_prior_need_not_say_where_its_thoughts_may_be(tiny):
    """As a mixture does not."""
    prior = MixturePrior(tiny.decoder.z_shape, components=2)()
    guide = AutoGuideAdapter(tiny.decoder.z_shape)
    guide.start(tiny.x, prior=prior)
    assert guide(tiny.x).shape == (3, *tiny.decoder.z_shape)


def test_it_starts_where_it_is_told(tiny):
    prior = dist.Normal(2.0, 0.3).expand((1, 2, 2)).to_event(3)
    for init_scale, expected in ((None, 0.3), (0.05, 0.05)):
        guide = AutoGuideAdapter((1, 2, 2), init_scale=init_scale)
        guide.start(tiny.x, prior=prior)
        base = guide.posterior().base_dist
        torch.testing.assert_close(base.scale, torch.full((3, 1, 2, 2), expected))
        assert torch.equal(base.loc, torch.full((3, 1, 2, 2), 2.0))


@pytest.mark.parametrize("name", COUPLED)
def test_an_autoguide_that_couples_sequences_is_refused(name):
    with pytest.raises(InputError, match=f"{name} makes one vector of all sequences of a batch.*: take .*Guide"):
        AutoGuideAdapter((1, 2, 2), name)


class Flat(autoguides.AutoDiagonalNormal):
    """One of a name that is not known."""


class Point(autoguides.AutoDelta):
    """A point of a name that is not known."""


class Elsewhere(autoguides.AutoNormal):
    """One that may be given by its import path, or itself."""


def test_one_that_couples_sequences_under_another_name_is_refused_too(tiny):
    guide = AutoGuideAdapter(tiny.decoder.z_shape, Flat)
    with pytest.raises(InputError, match=r"Flat .*such as AutoNormal"):
        guide.start(tiny.x, prior=tiny.model.prior())


def test_points_are_known_by_what_they_are(toy):
    guide = fit(toy, toy.x, Point, steps=2)
    assert not guide.has_density
    assert guide.fast_particles == 1


def test_ones_own_class_is_welcome(tiny):
    guide = AutoGuideAdapter(tiny.decoder.z_shape, Elsewhere)
    guide.start(tiny.x, prior=tiny.model.prior())
    assert "Elsewhere" in repr(guide)
    assert guide(tiny.x).shape == (3, *tiny.decoder.z_shape)


@pytest.mark.parametrize("name", ["AutoNothing", "no.such.module.Guide", f"{__name__}.Elsewhere", "os.system"])
def test_a_name_that_leads_to_no_autoguide_of_pyros_is_refused(name):
    with pytest.raises(InputError, match=f"autoguide='{name}' is no class of pyro.infer.autoguide"):
        AutoGuideAdapter((1, 2, 2), name)


def test_arguments_that_it_does_not_take_are_refused(tiny):
    guide = AutoGuideAdapter((1, 2, 2), options={"rank": 3})
    with pytest.raises(InputError, match=r"AutoNormal cannot be made for the site `z`: .*rank"):
        guide.start(tiny.x)
    with pytest.raises(InputError, match="init_scale=0"):
        AutoGuideAdapter((1, 2, 2), init_scale=0.0)
