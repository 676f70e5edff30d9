"""A diffusion's density is a bound from below, exact where the reverse is, and its sampler draws what it scores."""

import math
from functools import partial
from itertools import pairwise

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.distributions import Normal
from toys import SIZES, z_test

from ltm_pyro import (
    ELBO,
    Decoder,
    DualRateSVI,
    FastLoop,
    ImportanceWeighted,
    InputError,
    LatentThoughtModel,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.priors.diffusion import DiffusionPrior
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.noise_schedule import NoiseSchedule
from ltm_pyro.models.priors.reverse_chain import SHIFT_LIMIT, ReverseChain
from ltm_pyro.testing.priors import (
    assert_gradients_reach_everything,
    assert_it_expands_over_particles_and_sequences,
    assert_it_moves_as_a_module_does,
    assert_it_repeats_under_a_seed,
    assert_it_says_what_it_is,
    assert_its_state_can_be_restored,
    scattered,
)

ORDERS, ESTIMATES = ("joint", "vector"), ("path", "sum", "step")
SMALL = {"width": 16, "blocks": 1, "heads": 2}
M, S = torch.tensor([0.7, -0.3], dtype=torch.float64), torch.tensor([0.2, 1.8], dtype=torch.float64)  # of the data
every_order = pytest.mark.parametrize("order", ORDERS)
every_estimate = pytest.mark.parametrize("estimate", ESTIMATES)


def small(z_shape=(2, 2, 2), **arguments):
    return DiffusionPrior(z_shape, **{"steps": 6, **SMALL, **arguments})


def level(t):
    return torch.tensor(float(t), dtype=torch.float64)


class Optimal:
    """The best denoiser of data from N(M, S), and the variance of the true reverse step, or of N(0, I)'s."""

    def __init__(self, schedule, variance=False):
        self.schedule, self.variance = schedule, variance

    def __call__(self, z_t, t):
        alpha, sigma = self.schedule.levels(t)
        total = alpha**2 * S + sigma**2
        clean = M + alpha * S / total * (z_t - alpha * M)
        v = (clean - alpha * z_t) / sigma
        if not self.variance:
            return v, torch.zeros_like(v)
        (_, beta), (alpha_s, sigma_s) = self.schedule.transition(t - 1, t), self.schedule.levels(t - 1)
        known, spread = beta * (sigma_s / sigma) ** 2, S * sigma**2 / total  # of z_s given z; of z given z_t
        true = known + (alpha_s * beta / sigma**2) ** 2 * spread
        _, other = self.schedule.levels(torch.maximum(t - 1, t / 2))
        w = 0.5 * (true / beta).log() / (other / sigma).log()
        return v, SHIFT_LIMIT * torch.atanh((w / SHIFT_LIMIT).expand_as(v))


def optimal_chain(steps, variance=False):
    schedule = NoiseSchedule(steps)
    return ReverseChain(schedule, Optimal(schedule, variance))


def data(*shape):
    return (M + S.sqrt() * torch.randn(*shape, 1, 2, dtype=torch.float64)).double()


def exact(z):
    return Normal(M, S.sqrt()).log_prob(z).sum((-2, -1))


def marginal(chain):
    """The Gaussian that a chain with a denoiser linear in z_t ends in, exactly."""
    mean, variance = torch.zeros_like(M), torch.ones_like(M)
    for t in range(chain.schedule.steps, 0, -1):
        zero, one = (chain.step(z_t, level(t), level(t - 1)) for z_t in (torch.zeros_like(M), torch.ones_like(M)))
        slope = one.mean - zero.mean
        mean, variance = zero.mean + slope * mean, slope**2 * variance + zero.scale**2
    return Normal(mean, variance.sqrt())


def estimates(chain, z, estimate="path", repeats=1):
    """One after the other, shape (repeats, ...)."""
    z = z.expand(repeats, *z.shape)
    return chain.log_density(z, estimate).sum((-2, -1))


def test_the_schedule_leads_from_thoughts_to_noise():
    schedule = NoiseSchedule(10)
    t = torch.arange(11, dtype=torch.float64)
    alpha, sigma = schedule.levels(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t))
    assert (alpha[0], sigma[0]) == (1, 0)
    assert alpha[-1] < 2e-3
    a, beta = schedule.transition(t[:-1], t[1:])
    torch.testing.assert_close(a**2 + beta, torch.ones_like(a))
    torch.testing.assert_close(beta, sigma[1:] ** 2 - a**2 * sigma[:-1] ** 2)  # noise adds up
    single = NoiseSchedule(10).transition(t[:-1].float(), t[1:].float())[1]
    torch.testing.assert_close(single.double(), beta, rtol=1e-4, atol=0)


@every_estimate
@pytest.mark.parametrize("steps", [2, 7])
def test_a_chain_that_corrects_nothing_is_the_standard_normal_at_every_noise(estimate, steps):
    chain = ReverseChain(NoiseSchedule(steps), lambda z_t, t: (torch.zeros_like(z_t), torch.zeros_like(z_t)))
    z = 2 * torch.randn(50, 3, 2, dtype=torch.float64)
    standard = Normal(0.0, 1.0).log_prob(z).sum((-2, -1))
    torch.testing.assert_close(chain.log_density(z, estimate).sum((-2, -1)), standard)


def test_a_chain_that_is_the_true_reverse_is_exact_but_for_its_end():
    """Then the bound lacks only what the last level still tells, at any number of steps."""
    for steps in (4, 16):
        chain = optimal_chain(steps, variance=True)
        z = data(2_000)
        assert (estimates(chain, z) - exact(z)).abs().mean() < 5e-3
        torch.testing.assert_close(marginal(chain).mean, M, atol=5e-3, rtol=0)
        torch.testing.assert_close(marginal(chain).variance, S, atol=5e-3, rtol=0)


def gap(steps, samples=4_000):
    """Exact log-density less the bound, a value a sample."""
    z = data(samples)
    return exact(z) - estimates(optimal_chain(steps), z)[0]


def assert_it_bounds_from_below(lacking):
    error = lacking.std() / math.sqrt(len(lacking))
    assert lacking.mean() > 4 * error, "the bound is not below"


def test_the_bound_is_below_the_exact_density_and_closes_as_the_steps_grow():
    lacking = {steps: gap(steps) for steps in (4, 8, 16, 32)}
    for value in lacking.values():
        assert_it_bounds_from_below(value)
    means = [value.mean() for value in lacking.values()]
    for coarse, fine in pairwise(means):
        assert 0.3 < fine / coarse < 0.7  # about 1/N
    assert means[-1] < 0.1


def test_a_bound_without_its_kl_would_be_noticed():
    """Only log p(z | z_1), as an autoencoder of a single step would have it."""
    chain, z, t = optimal_chain(8), data(4_000), level(1)
    alpha, sigma = chain.schedule.levels(t)
    reconstruction = chain.step(alpha * z + sigma * torch.randn_like(z), t, t - 1).log_prob(z).sum((-2, -1))
    with pytest.raises(AssertionError, match="not below"):
        assert_it_bounds_from_below(exact(z) - reconstruction)


@pytest.mark.parametrize("estimate", ["sum", "step"])
def test_all_estimates_have_one_mean(estimate):
    chain, z = optimal_chain(5), data(3)
    z_test(estimates(chain, z, estimate, 20_000) - estimates(chain, z, "path", 20_000), 0.0)


def test_the_weight_of_a_path_is_unbiased_and_those_of_the_other_estimates_are_not():
    """Against the density that the chain ends in, which is known since its denoiser is linear."""
    chain, z = optimal_chain(3), data(4)
    p = marginal(chain).log_prob(z).sum((-2, -1))
    z_test((estimates(chain, z, "path", 40_000) - p).exp(), 1.0)
    assert ((estimates(chain, z, "path", 40_000) - p).mean(0) < 0).all()
    for estimate, too_high in (("path", False), ("step", True)):
        log_mean = log_mean_exp((estimates(chain, z, estimate, 40_000) - p).view(100, 400, 4))  # of 100, 400 times
        excess = log_mean.mean(0) / (log_mean.std(0) / math.sqrt(400))
        assert (excess.max() > 4) == too_high  # then a logarithm of a mean is no lower bound


def sampler_moments(chain, steps, sampler, samples=20_000):
    noise = torch.randn(samples, 1, 2, dtype=torch.float64)
    z = chain.draw(noise, steps, sampler).flatten(1)
    return torch.cat((z, z**2), 1)


def expected_moments(p):
    return torch.cat((p.mean, p.variance + p.mean**2))


def test_the_ancestral_sampler_draws_what_the_density_scores():
    chain = optimal_chain(6)
    z_test(sampler_moments(chain, 6, "ancestral"), expected_moments(marginal(chain)))
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(sampler_moments(chain, 3, "ancestral"), expected_moments(marginal(chain)))


@pytest.mark.parametrize(("sampler", "variance"), [("ancestral", True), ("ddim", False)])
def test_few_steps_of_a_good_denoiser_draw_nearly_the_data(sampler, variance):
    """And come closer as they grow in number."""
    chain, expected = optimal_chain(64, variance), expected_moments(Normal(M, S.sqrt()))
    errors = [(sampler_moments(chain, steps, sampler).mean(0) - expected).abs().max() for steps in (3, 64)]
    assert errors[0] > 3 * errors[1]
    assert errors[1] < 0.08


def f(z):
    z = z.flatten(1)
    return torch.cat((torch.ones_like(z[:, :1]), z, z.cos(), z[:, :1] * z[:, 1:]), 1)


def scored_moments(prior, samples=40_000):
    """E_p[f] by the densities alone: f times the unbiased weight over a wide proposal's density."""
    seen = prior().sample((1_000,))
    wide = Normal(seen.mean(0), 1.5 * seen.std(0))
    z = wide.sample((samples,))
    with torch.no_grad():
        return (prior().log_prob(z) - wide.log_prob(z).sum((1, 2, 3))).exp()[:, None] * f(z)


@every_order
@pytest.mark.parametrize("z_shape", [(1, 2, 1), (1, 1, 2)], ids=str)
def test_samples_of_a_network_have_the_density_it_claims(order, z_shape):
    prior = scattered(small(z_shape, order=order, steps=3), 0.3)
    drawn = f(prior().sample((40_000,)))
    z_test(scored_moments(prior) - drawn, 0.0)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(scored_moments(prior) - f(1.2 * prior().sample((40_000,))), 0.0)


def test_vectors_know_those_before_them_alone():
    prior = scattered(small((2, 2, 3), order="vector"))
    z = torch.randn(5, 2, 2, 3, dtype=torch.float64)
    other = z.clone()
    other[:, 1, 0] += 1  # the third of four vectors

    def shares(z):
        pyro.set_rng_seed(1)
        vectors = z.flatten(1, 2)
        return prior.chain(vectors[:, :-1]).log_density(vectors, "path").sum(-1)

    same = (shares(z) - shares(other)).abs() < 1e-9
    assert same[:, :2].all()
    assert not same[:, 2:].any()


def test_joint_vectors_know_one_another():
    prior = scattered(small((2, 2, 3)))
    z_t = torch.randn(2, 4, 3, dtype=torch.float64).requires_grad_()
    v, _ = prior.denoiser(z_t, level(3).view(1, 1))
    (slope,) = torch.autograd.grad(v[0, 1].sum(), z_t)
    assert (slope[0].abs().sum(-1) > 0).all()
    assert (slope[1] == 0).all()  # but not those of another sequence


@every_estimate
@every_order
def test_it_starts_close_to_the_standard_normal(order, estimate):
    prior, z = small(order=order, estimate=estimate), torch.randn(2_000, 2, 2, 2)
    standard = Normal(0.0, 1.0).log_prob(z).sum((1, 2, 3))
    with torch.no_grad():
        assert (prior().log_prob(z) - standard).mean().abs() < 0.05
        assert prior().sample((2_000,)).std() == pytest.approx(1.0, abs=0.05)


def test_it_says_what_its_density_is():
    for estimate in ESTIMATES:
        prior = small(estimate=estimate)
        expected = Density.UNBIASED if estimate == "path" else Density.BELOW_IN_THE_MEAN
        assert prior.density is prior().density is prior().expand((3, 4)).density is expected


@every_estimate
@every_order
def test_gradients_reach_everything(order, estimate):
    assert_gradients_reach_everything(small(order=order, estimate=estimate), torch.randn(64, 2, 2, 2) + 1)


@every_order
def test_it_keeps_what_every_prior_keeps(order):
    for estimate in ESTIMATES:
        prior = partial(small, order=order, estimate=estimate)
        site = assert_it_expands_over_particles_and_sequences(scattered(prior()))
        assert len(site["value"].flatten().unique()) == 3 * 4 * 8
        same_z = prior()().expand((3, 4)).log_prob(site["value"][0, 0].float())
        assert len(same_z.flatten().unique()) == 12  # each has noise of its own
        assert_it_repeats_under_a_seed(scattered(prior()))
        assert_its_state_can_be_restored(scattered(prior()).float(), prior())
        assert_it_moves_as_a_module_does(prior())
        assert_it_says_what_it_is(prior(), "z_shape=(2, 2, 2)", "steps=6", f"order={order}", f"estimate={estimate}")


@every_order
def test_float32_agrees_with_float64(order, monkeypatch):
    prior = scattered(small(order=order, steps=32))
    z, noise = torch.randn(100, 2, 2, 2), torch.randn(32, 100, 4, 2)
    monkeypatch.setattr(torch, "randn", lambda *shape, dtype, device: noise.to(dtype))
    with torch.no_grad():
        exact = prior().log_prob(z.double())
        torch.testing.assert_close(prior.float()().log_prob(z).double(), exact, rtol=1e-4, atol=1e-2)


class Line(nn.Module):
    """z ~ the chain's Gaussian and x | z ~ N(z_1 + z_2, 0.5²), whose evidence is known."""

    def __init__(self, estimate):
        super().__init__()
        self.chain = optimal_chain(3)
        self.prior = lambda: self.distribution(estimate)

    def distribution(self, estimate):
        def log_density(z):
            return self.chain.log_density(z.squeeze(-3), estimate).sum((-2, -1))

        return ThoughtDistribution((1, 1, 2), log_density, None, has_rsample=False)

    def forward(self, x=None, mask=None):
        with pyro.plate("sequences", len(x), dim=-1):
            z = pyro.sample("z", self.prior())
            return pyro.sample("x", dist.Normal(z.sum((-3, -2, -1)), 0.5).expand(z.shape[:-3]), obs=x)

    def evidence(self, x):
        p = marginal(self.chain)
        return Normal(p.mean.sum(), (p.variance.sum() + 0.25).sqrt()).log_prob(x)


def values(estimate, bound):
    model, x = Line(estimate), torch.full((4_000,), 1.2, dtype=torch.float64)
    guide = MeanFieldGuide((1, 1, 2))
    guide.start(x)
    with torch.no_grad():
        return bound.terms(model, guide, x).bound - model.evidence(x)


def test_bounds_on_the_evidence_hold_with_the_path_and_the_elbo_with_all():
    """And the importance-weighted bound with `step` comes out above log p(x): hence its density's refusal."""
    for estimate in ESTIMATES:
        assert values(estimate, ELBO(4)).mean() < -0.1
    one, many = (values("path", ImportanceWeighted(particles)).mean() for particles in (1, 64))
    assert one < many < 0
    wrong = values("step", ImportanceWeighted(64))
    assert wrong.mean() > 4 * wrong.std() / math.sqrt(len(wrong))


@every_order
def test_it_learns_with_the_model(order):
    decoder = Decoder(**SIZES)
    prior = small(decoder.z_shape, order=order)
    model, guide = LatentThoughtModel(prior, decoder), MeanFieldGuide(decoder.z_shape)
    svi = DualRateSVI(model, guide, FastLoop(ELBO(2), steps=3), SlowStep(ELBO(2), learning_rate=1e-2))
    before = [parameter.detach().clone() for parameter in prior.parameters()]
    x = torch.randint(decoder.vocabulary, (3, decoder.length))
    for _ in range(2):
        assert svi.step(x).elbo.isfinite().all()
    assert all(not torch.equal(old, new) for old, new in zip(before, prior.parameters(), strict=True))
    assert model(batch_size=2).shape == (2, decoder.length)
    assert len(pyro.get_param_store()) == 0


def three_places():
    mu = torch.tensor([[-2.0, 0.0], [2.0, 1.5], [1.0, -2.0]]).view(3, 2, 1, 1)
    sigma = torch.tensor([0.4, 0.6, 0.5]).view(3, 1, 1, 1).expand_as(mu)
    return dist.MixtureSameFamily(dist.Categorical(torch.tensor([0.5, 0.3, 0.2])), dist.Normal(mu, sigma).to_event(3))


@pytest.mark.parametrize("order", ["vector", pytest.param("joint", marks=pytest.mark.slow)])
def test_it_learns_what_a_gaussian_cannot_hold(order):
    """The best Gaussian lacks 0.5 nats; here the bound itself is within half of that."""
    prior, p = DiffusionPrior((2, 1, 1), steps=16, order=order, width=32, blocks=2, heads=2), three_places()
    optimizer = torch.optim.Adam(prior.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
    for _ in range(200):
        optimizer.zero_grad()
        (-prior().log_prob(p.sample((128,))).mean()).backward()
        optimizer.step()
        schedule.step()
    z = p.sample((4_000,))
    with torch.no_grad():
        lacking = p.log_prob(z) - prior().log_prob(z)
    assert_it_bounds_from_below(lacking)
    assert lacking.mean() < 0.25


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 1},
        {"order": "both"},
        {"estimate": "exact"},
        {"sampler": "euler"},
        {"sample_steps": 0},
        {"sample_steps": 7},
        {"width": 6},
        {"blocks": 0},
    ],
)
@every_order
def test_what_does_not_fit_is_refused(order, wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name}="):
        small(**{"order": order, **wrong})
