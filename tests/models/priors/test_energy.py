"""An energy's normaliser is bounded from the right side, and θ learns as if it were known."""

import math

import pyro
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal
from toys import z_test

from ltm_pyro import ELBO, Decoder, FastLoop, InputError, LatentThoughtModel, MeanFieldGuide
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.priors.energy import EnergyPrior
from ltm_pyro.models.priors.langevin import annealed, langevin_step, normaliser_bounds
from ltm_pyro.testing.priors import (
    assert_it_expands_over_particles_and_sequences,
    assert_it_moves_as_a_module_does,
    assert_it_repeats_under_a_seed,
    assert_it_says_what_it_is,
    assert_its_state_can_be_restored,
    scattered,
)

Z_SHAPE = (1, 2, 1)
EDGE, POINTS = 7.0, 120


def energetic(limit=3.0, **arguments):
    """A prior over two dimensions whose energy is far from flat."""
    prior = scattered(EnergyPrior(Z_SHAPE, hidden=16, limit=limit, **arguments), scale=2.0)
    with torch.no_grad():
        prior.height.weight.mul_(2.0)
    return prior


def grid():
    """Points (POINTS², *Z_SHAPE) and the area of a cell."""
    u = torch.linspace(-EDGE, EDGE, POINTS, dtype=torch.float64)
    return torch.cartesian_prod(u, u).view(-1, *Z_SHAPE), (u[1] - u[0]) ** 2


def exact_log_z(prior):
    z, area = grid()
    return prior.log_density(z).logsumexp(0) + area.log()


def exact_moment(prior, function):
    z, _ = grid()
    return (prior.log_density(z).softmax(0)[:, None] * function(z).flatten(1)).sum(0).detach()


def test_the_energy_keeps_within_its_limit_and_the_density_below_the_exact_one():
    prior, (z, _) = energetic(limit=2.0), grid()
    assert prior.energy(z).abs().max() <= 2.0
    exact = prior.log_density(z) - exact_log_z(prior)
    with torch.no_grad():
        slack = exact - prior().log_prob(z)
    assert prior().density is prior.density is Density.BELOW
    assert slack.min() >= 0
    assert slack.max() <= 2 * 2.0
    assert slack.max() - slack.min() < 1e-9  # a constant: c - log Z


def test_its_density_integrates_to_less_than_one():
    prior, (z, area) = energetic(), grid()
    with torch.no_grad():
        assert (prior().log_prob(z).exp().sum() * area) < 1


def repeated_bounds(prior, samples, repeats, bounds=normaliser_bounds):
    z = torch.randn(repeats, samples, *Z_SHAPE, dtype=torch.float64)
    _, log_w = annealed(z, prior.energy, 2, 0.5)
    return torch.tensor([bounds(row)[:2] for row in log_w], dtype=torch.float64)  # (repeats, 2)


def assert_they_enclose(values, log_z):
    """In the mean, beyond four standard errors on each side."""
    error = values.std(0) / math.sqrt(len(values))
    lower, upper = values.mean(0)
    assert lower + 4 * error[0] < log_z, "the lower bound is not below"
    assert upper - 4 * error[1] > log_z, "the upper bound is not above"


def jensen_on_both_sides(log_w):
    """The usual estimate, which is too low in the mean, in the place of both bounds."""
    usual = log_w.logsumexp(0) - math.log(len(log_w))
    return usual.item(), usual.item()


def test_the_bounds_of_the_normaliser_enclose_it_in_the_mean():
    """With few samples, where both are loose; the logarithm of a mean is no upper bound, and is noticed."""
    prior = energetic()
    assert_they_enclose(repeated_bounds(prior, 8, 4_000), exact_log_z(prior))
    with pytest.raises(AssertionError, match="upper bound is not above"):
        assert_they_enclose(repeated_bounds(prior, 8, 4_000, jensen_on_both_sides), exact_log_z(prior))


def test_with_many_samples_they_meet():
    prior = energetic()
    bounds = prior.log_normaliser(samples=20_000)
    assert abs(bounds.upper - exact_log_z(prior)) < 5 * bounds.error
    assert abs(bounds.lower - exact_log_z(prior)) < 5 * bounds.error
    assert bounds.error < 0.02
    narrow = prior.log_normaliser(samples=20_000, temperatures=1)
    assert bounds.error < narrow.error  # what annealing is for


def moments(z):
    return torch.cat((z, z**2), -3).flatten(1)


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_annealed_weights_are_unbiased_at_any_step_size(steps):
    """Of the normaliser, and of moments, Z E_p[f]."""
    prior = energetic()
    log_z, expected = exact_log_z(prior).exp(), exact_moment(prior, moments)
    for step_size in (0.3, 0.95):
        z, log_w = annealed(torch.randn(20_000, *Z_SHAPE, dtype=torch.float64), prior.energy, steps, step_size)
        z_test(log_w.exp(), log_z)
        z_test(log_w.exp()[:, None] * moments(z), log_z * expected)


def test_steps_that_are_never_rejected_would_be_noticed(monkeypatch):
    prior = energetic()
    monkeypatch.setattr(torch, "rand_like", torch.zeros_like)
    z = torch.randn(20_000, *Z_SHAPE, dtype=torch.float64)
    _, log_w = annealed(z, prior.energy, 8, 0.95)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(log_w.exp(), exact_log_z(prior).exp())


def test_no_step_is_rejected_for_the_gaussians_sake():
    z = torch.randn(50, 10, 10, 20, dtype=torch.float64)
    moved = langevin_step(z, lambda z: 0 * z.sum((-3, -2, -1)), 1.0, 0.9)
    assert (moved != z).all()
    assert moved.var() == pytest.approx(1.0, abs=0.02)


def test_samples_come_from_the_density_nearly():
    """With many candidates within four standard errors; where a single short run ends, not."""
    prior = energetic(candidates=50, langevin_steps=8)
    expected = exact_moment(prior, moments)
    z_test(moments(prior().sample((1_000,))), expected)
    prior.candidates, prior.langevin_steps = 1, 2
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(moments(prior().sample((2_000,))), expected)


def gradient_of_height(prior, value):
    return torch.autograd.grad(value, prior.height.weight)[0].flatten()


def test_theta_follows_the_gradient_of_the_exact_density():
    """E_q[-∇E] + E_p[∇E], against log p(z) by quadrature; without samples from p it would be another."""
    prior = energetic(negatives=1_000, langevin_steps=8)
    z = 0.5 * torch.randn(6, *Z_SHAPE, dtype=torch.float64) + 1
    exact = gradient_of_height(prior, (prior.log_density(z) - exact_log_z(prior)).mean())
    drawn = torch.stack([gradient_of_height(prior, prior().log_prob(z).mean()) for _ in range(100)])
    z_test(drawn, exact)
    alone = gradient_of_height(prior, prior.log_density(z).mean())
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(drawn, alone)


def test_the_value_does_not_depend_on_the_samples_behind_the_gradient():
    prior = energetic()
    z = torch.randn(6, *Z_SHAPE, dtype=torch.float64)
    torch.testing.assert_close(prior().log_prob(z), prior.log_density(z) - 3.0)
    with torch.no_grad():
        state = torch.get_rng_state()
        torch.testing.assert_close(prior().log_prob(z), prior.log_density(z) - 3.0)
        assert torch.equal(torch.get_rng_state(), state)


def test_no_samples_are_drawn_while_the_weights_are_frozen():
    prior = energetic().requires_grad_(False)
    z, state = torch.randn(6, *Z_SHAPE, dtype=torch.float64).requires_grad_(), torch.get_rng_state()
    (slope,) = torch.autograd.grad(prior().log_prob(z).sum(), z)
    assert slope.abs().max() > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_limit_it_refuses_by_name():
    prior = energetic(limit=None)
    p = prior()
    assert p.density is prior.density is Density.UNNORMALISED
    assert prior.energy(grid()[0]).abs().max() > 3.0
    with pytest.raises(InputError, match="EnergyPrior has an unknown normaliser"):
        p.log_prob(p.sample())
    with pytest.raises(InputError, match="EnergyPrior has an unknown normaliser"):
        p.expand((3,)).to_event(0).log_prob(p.sample((3,)))
    assert p.log_density(p.sample((5,))).shape == (5,)


def test_without_a_limit_no_bound_comes_of_it():
    decoder = Decoder(vocabulary=10, width=8, layers=1, heads=2, thoughts=2, length=6)
    model = LatentThoughtModel(EnergyPrior(decoder.z_shape, limit=None), decoder)
    x, guide = model(batch_size=3).detach(), MeanFieldGuide(decoder.z_shape)
    with pytest.raises(ValueError, match=r"EnergyPrior.*unknown normaliser"):  # an InputError, as Pyro passes it on
        FastLoop(ELBO(), 1).fit(model, guide, x)
    with model.prior.normaliser_held(64):
        FastLoop(ELBO(2), 2).fit(model, guide, x)
        assert ELBO(2).terms(model, guide, x).bound.isfinite().all()


def test_for_learning_it_gives_the_gradient_and_a_value_off_by_a_constant():
    prior = energetic(limit=None)
    p, z = prior().expand((6,)).for_learning(), torch.randn(6, *Z_SHAPE, dtype=torch.float64)
    assert p.density is Density.UNNORMALISED
    assert p.batch_shape == (6,)
    torch.testing.assert_close(p.log_prob(z), prior.log_density(z))
    slope = gradient_of_height(prior, p.log_prob(z).sum())
    assert not torch.allclose(slope, gradient_of_height(prior, prior.log_density(z).sum()))


@pytest.mark.parametrize("limit", [3.0, None])
def test_a_held_normaliser_makes_the_bound_tight(limit):
    prior, z = energetic(limit), torch.randn(6, *Z_SHAPE, dtype=torch.float64)
    before = prior.density
    with prior.normaliser_held(samples=20_000) as bounds, torch.no_grad():
        assert prior().density is Density.BELOW
        exact = prior.log_density(z) - exact_log_z(prior)
        torch.testing.assert_close(prior().log_prob(z), prior.log_density(z) - bounds.upper)
        assert (prior().log_prob(z) - exact).abs().max() < 0.1
    assert prior.density is before


def test_a_held_normaliser_of_other_weights_is_refused():
    prior = energetic()
    with prior.normaliser_held():
        with torch.no_grad():
            prior.height.weight.mul_(1.1)
        with pytest.raises(InputError, match="has changed since"):
            prior().log_prob(prior().sample())
    assert prior().log_prob(prior().sample()).isfinite()


@pytest.mark.slow
def test_it_learns_what_a_gaussian_cannot_hold():
    """Two places: the exact KL(target || prior), by quadrature, falls from N(0, I)'s to a part of it."""
    mean = torch.tensor([1.5, 1.5], dtype=torch.float64)
    places = [MultivariateNormal(sign * mean, 0.15 * torch.eye(2, dtype=torch.float64)) for sign in (-1, 1)]
    z, area = grid()
    log_target = torch.stack([p.log_prob(z.flatten(1)) for p in places]).logsumexp(0) - math.log(2)
    prior = EnergyPrior(Z_SHAPE, hidden=32, limit=15.0).double()

    def gap():
        with torch.no_grad():
            return (log_target.exp() * (log_target - prior.log_density(z) + exact_log_z(prior))).sum() * area

    before, optimizer = gap(), torch.optim.Adam(prior.parameters(), 5e-3)
    for _ in range(250):
        data = torch.cat([p.sample((64,)) for p in places]).view(-1, *Z_SHAPE)
        optimizer.zero_grad()
        (-prior().log_prob(data).mean()).backward()
        optimizer.step()
    assert before > 2.5
    assert gap() < 0.1


def test_it_starts_close_to_the_standard_normal():
    prior, z = EnergyPrior((2, 2, 4)), torch.randn(500, 2, 2, 4)
    standard = Normal(0.0, 1.0).log_prob(z).sum((1, 2, 3))
    assert (prior.log_density(z) - standard).abs().max() < 0.05
    assert prior().sample((500,)).std() == pytest.approx(1.0, abs=0.05)


def test_it_keeps_what_every_prior_keeps():
    site = assert_it_expands_over_particles_and_sequences(energetic())
    assert len(site["value"].flatten().unique()) == 3 * 4 * 2
    assert_it_repeats_under_a_seed(energetic())
    assert_its_state_can_be_restored(energetic().float(), EnergyPrior(Z_SHAPE, hidden=16, limit=3.0))
    assert_it_moves_as_a_module_does(energetic())
    assert_it_says_what_it_is(EnergyPrior(Z_SHAPE, limit=4.0), "z_shape=(1, 2, 1)", "limit=4.0", "langevin_steps=20")
    assert len(pyro.get_param_store()) == 0


def test_gradients_reach_everything():
    pyro.set_rng_seed(3)
    prior = EnergyPrior((1, 2, 2))
    z = (torch.randn(8, 1, 2, 2) + 1).requires_grad_()
    gradients = torch.autograd.grad(prior().log_prob(z).sum(), [z, *prior.parameters()], allow_unused=True)
    names = ["z", *dict(prior.named_parameters())]
    nought = [name for name, g in zip(names, gradients, strict=True) if not g.isfinite().all() or not g.abs().max() > 0]
    assert set(nought) <= {"height.bias"}  # a constant in the energy, which the normaliser takes back


def test_float32_agrees_with_float64():
    prior = energetic()
    z = torch.randn(100, *Z_SHAPE, dtype=torch.float64)
    exact = prior.log_density(z).detach()
    torch.testing.assert_close(prior.float().log_density(z.float()).double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": 0},
        {"limit": 0.0},
        {"limit": -1.0},
        {"langevin_steps": 0},
        {"step_size": 0.0},
        {"step_size": 1.0},
        {"candidates": 0},
        {"negatives": 0},
    ],
)
def test_sizes_that_are_not_positive_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name}="):
        EnergyPrior(Z_SHAPE, **wrong)


@pytest.mark.parametrize("wrong", [{"samples": 3}, {"samples": 2}, {"temperatures": 0}])
def test_a_normaliser_of_too_few_samples_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name}="):
        energetic().log_normaliser(**wrong)


def test_a_density_says_which_bounds_it_serves():
    linear, weighed = {"linear": True}, {"linear": False}
    for exact in (Density.EXACT, Density.UNBIASED):
        assert exact.refusal(linear=False, upper=True) is None
    assert Density.BELOW.refusal(**weighed) is None
    assert "no upper bound" in Density.BELOW.refusal(linear=False, upper=True)
    assert Density.BELOW_IN_THE_MEAN.refusal(**linear) is None
    assert "a mean of weights is no bound" in Density.BELOW_IN_THE_MEAN.refusal(**weighed)
    assert "no perplexity" in Density.UNNORMALISED.refusal(**linear)
