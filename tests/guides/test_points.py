"""Points without a density, and what every guide keeps that moves points."""

import pyro
import pytest
import torch
from pyro import poutine
from torch import nn

from ltm_pyro import (
    ELBO,
    AutoGuideAdapter,
    ChiUpper,
    FastLoop,
    FixedNoise,
    ImportanceWeighted,
    InputError,
    KLWeighted,
    LangevinGuide,
    LaplaceGuide,
    MAPGuide,
    SlowStep,
    SVGDGuide,
)
from ltm_pyro.data import Batch
from ltm_pyro.evaluation import Evaluator
from ltm_pyro.guides.points import Points

GUIDES = {
    "map": MAPGuide,
    "map, from a sample": lambda z_shape: MAPGuide(z_shape, start_at="sample"),
    "langevin": lambda z_shape: LangevinGuide(z_shape, particles=3),
    "langevin, preconditioned": lambda z_shape: LangevinGuide(z_shape, particles=3, preconditioned=True),
    "langevin, adjusted": lambda z_shape: LangevinGuide(z_shape, particles=3, adjusted_steps=2),
    "svgd": lambda z_shape: SVGDGuide(z_shape, particles=3),
    "autoguide": lambda z_shape: AutoGuideAdapter(z_shape, "AutoDelta"),
}
every_guide = pytest.mark.parametrize("make", GUIDES.values(), ids=GUIDES.keys())


def fitted(make, tiny, x, mask=None, seed=0, bound=None):
    guide = make(tiny.decoder.z_shape)
    pyro.set_rng_seed(seed)
    FastLoop(bound or ELBO(), 4).fit(tiny.model, guide, x, mask)
    return guide


def row_of(guide):
    (row,) = guide.local_parameters()
    return row.detach().clone()


# ---- the distribution


@pytest.mark.parametrize("draws", [1, 3, 4, 7, 8, 9])
def test_points_are_drawn_in_turn(draws):
    """Each of four points as often as any other, or once more."""
    places = torch.arange(8.0).view(2, 4, 1, 1, 1)  # B = 2: 0 to 3, and 4 to 7
    drawn = Points(places).expand(torch.Size((draws, 2)))().view(draws, 2)
    for row, first in enumerate((0, 4)):
        counts = torch.bincount(drawn[:, row].long() - first, minlength=4)
        assert counts.sum() == draws
        assert counts.max() - counts.min() <= 1


def test_a_single_draw_is_any_of_the_points():
    places = torch.arange(4.0).view(1, 4, 1, 1, 1)
    counts = torch.bincount(Points(places).sample(torch.Size((4000,))).flatten().long(), minlength=4)
    assert counts.tolist() == [1000] * 4
    single = torch.stack([Points(places).rsample().squeeze() for _ in range(400)]).long()
    assert ((torch.bincount(single, minlength=4) - 100).abs() < 4 * 75**0.5).all()  # binomial(400, 1/4)


def test_a_draw_is_a_path_to_its_point():
    places = torch.randn(2, 4, 1, 2, 3, requires_grad=True)
    drawn = Points(places).expand(torch.Size((3, 2)))()
    assert drawn.shape == (3, 2, 1, 2, 3)
    drawn.sum().backward()
    moved = places.grad.flatten(2).sum(-1) / 6
    assert sorted(moved.flatten().tolist()) == [0, 0, 1, 1, 1, 1, 1, 1]


# ---- the guides


@every_guide
@pytest.mark.parametrize("bound", [ELBO(), ImportanceWeighted(2), ChiUpper(2)], ids=repr)
def test_every_bound_refuses_points(make, bound, tiny):
    guide = fitted(make, tiny, tiny.x)
    assert not guide.has_density
    with pytest.raises(InputError, match=r"does not go with Points at site 'z': the guide draws points"):
        bound.terms(tiny.model, guide, x=tiny.x)


@every_guide
def test_it_samples_the_models_site(make, tiny):
    guide = fitted(make, tiny, tiny.x)
    site = poutine.trace(guide).get_trace(tiny.x).nodes["z"]
    assert site["fn"].batch_shape == (3,)
    assert site["fn"].event_shape == tiny.decoder.z_shape
    assert guide(tiny.x).shape == (3, *tiny.decoder.z_shape)
    with pyro.plate("particles", 5, dim=-2):
        assert guide(tiny.x).shape == (5, 3, *tiny.decoder.z_shape)
    assert len(pyro.get_param_store()) == 0
    assert list(guide.parameters()) == []


@every_guide
def test_the_fast_loop_moves_every_point_and_no_weight(make, tiny):
    guide = make(tiny.decoder.z_shape)
    guide.start(tiny.x, prior=tiny.model.prior())
    pyro.set_rng_seed(0)
    FastLoop(ELBO(), steps=0).fit(tiny.model, guide, tiny.x)
    before = row_of(guide)
    after = row_of(fitted(make, tiny, tiny.x))
    assert (after - before).flatten(-3).abs().amax(-1).min() > 1e-3
    assert all(parameter.grad is None for parameter in tiny.model.parameters())


@every_guide
def test_a_posterior_does_not_depend_on_its_batch_mates(make, tiny):
    one = row_of(fitted(make, tiny, tiny.x))
    two = row_of(fitted(make, tiny, torch.cat((tiny.x[:1], tiny.texts(2)))))
    torch.testing.assert_close(one[0], two[0], atol=1e-9, rtol=0)
    assert (one[1:] - two[1:]).abs().max() > 1e-3


@every_guide
def test_a_posterior_does_not_depend_on_padding(make, tiny):
    mask = torch.arange(20).expand(3, 20) < 12
    one, two = fitted(make, tiny, tiny.x[:, :12]), fitted(make, tiny, tiny.x, mask)
    torch.testing.assert_close(row_of(one), row_of(two), atol=1e-9, rtol=0)


@every_guide
def test_equal_seeds_give_equal_points(make, tiny):
    first, again = (row_of(fitted(make, tiny, tiny.x, seed=3)) for _ in range(2))
    assert torch.equal(first, again)


@every_guide
def test_the_model_learns_at_points(make, toy):
    """θ follows log p(x, z) at the points, as if they were data."""
    guide = make(toy.z_shape)
    FastLoop(ELBO(), 3).fit(toy, guide, toy.x)
    z = row_of(guide).view(4, -1, 4)
    mean = z @ toy.weight.T + toy.bias
    log_likelihood = -((toy.x[:, None] - mean) ** 2).sum() / (2 * toy.noise**2) / z.shape[1]
    expected = torch.autograd.grad(log_likelihood, [toy.weight, toy.bias])
    points = SlowStep(ELBO(z.shape[1]), clip=0)
    points.prepare([toy.weight, toy.bias])
    terms = points.step(toy, guide, toy.x)
    assert terms.bound is None
    for parameter, slope in zip((toy.weight, toy.bias), expected, strict=True):
        torch.testing.assert_close(-parameter.grad * toy.x.numel(), slope)


@every_guide
def test_tables_leave_out_what_needs_a_density(make, tiny):
    batch = Batch(x=tiny.x, mask=None, previous=None, ids=torch.arange(3), byte_counts=torch.full_like(tiny.x, 3))
    found = Evaluator(tiny.model, make(tiny.decoder.z_shape), FastLoop(ELBO(), 2), draws=4).evaluate([batch])
    assert {"elbo", "importance_weighted"}.isdisjoint(found.scores)
    assert not found.scores["reconstruction"].is_bound


@every_guide
def test_a_guide_that_has_not_seen_the_batch_says_so(make, tiny):
    guide = make(tiny.decoder.z_shape)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x)
    guide.start(tiny.x)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x[:2])


def test_fixed_noise_goes_with_points(toy):
    guide = MAPGuide(toy.z_shape)
    FastLoop(FixedNoise(ELBO(3)), 400, 0.2, 0.0).fit(toy, guide, toy.x)
    torch.testing.assert_close(guide.z.flatten(1), toy.posterior_mean(toy.x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [GUIDES["langevin"], GUIDES["svgd"], MAPGuide, LaplaceGuide])
def test_points_are_not_weighed_by_one_another(make, toy):
    with pytest.raises(InputError, match=r"ImportanceWeighted weighs samples .* take ELBO\(\) or KLWeighted\(\)"):
        FastLoop(ImportanceWeighted(4), 1).fit(toy, make(toy.z_shape), toy.x)


class TakesNote(KLWeighted):
    """An objective that notes how often it was evaluated at how many points."""

    def terms(self, model, guide, *args, **kwargs):
        terms = super().terms(model, guide, *args, **kwargs)
        self.seen.append(self.particles)
        return terms


@pytest.mark.parametrize("at_once", [None, 2])
def test_every_point_follows_the_slope_at_its_own_place(at_once, toy):
    """Undivided by their number, in one pass or several, with the weight on the prior that was asked for."""
    guide = LangevinGuide(toy.z_shape, particles=5, temperature=0.0)
    objective = TakesNote(0.3, at_once=at_once)
    objective.seen = []
    pyro.set_rng_seed(0)
    FastLoop(objective, steps=0).fit(toy, guide, toy.x)
    z = guide.z.detach().clone().requires_grad_()
    mean = z.flatten(2) @ toy.weight.T + toy.bias
    log_joint = -((toy.x[:, None] - mean) ** 2).sum() / (2 * toy.noise**2) - 0.3 * z.square().sum() / 2
    (slope,) = torch.autograd.grad(log_joint, z)
    pyro.set_rng_seed(0)
    FastLoop(objective, steps=1, learning_rate=0.01).fit(toy, guide, toy.x)
    torch.testing.assert_close(guide.z, z + 0.01 * slope)
    assert objective.seen == [5]


@pytest.mark.parametrize("make", [LangevinGuide, SVGDGuide])
def test_a_guide_without_a_point_is_refused(make):
    with pytest.raises(InputError, match="particles=0"):
        make((1, 2, 2), particles=0)


def test_points_are_no_module_parameters():
    guide = SVGDGuide((1, 2, 2))
    guide.start(torch.zeros(2, 3, dtype=torch.long))
    assert isinstance(guide, nn.Module)
    assert guide.state_dict() == {}
