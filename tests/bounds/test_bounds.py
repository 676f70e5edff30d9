"""What every bound keeps, checked where the evidence is known. A new bound is one more entry in `BOUNDS`."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import nn
from toys import FixedGuide, z_test

from ltm_pyro import ELBO, ImportanceWeighted, InputError, MeanFieldGuide
from ltm_pyro.bounds.weights import effective_sample_size, log_mean_exp

BOUNDS = {
    "elbo": ELBO,
    "elbo, sampled kl": lambda particles: ELBO(particles, closed_form_kl=False),
    "importance weighted": ImportanceWeighted,
}
every_bound = pytest.mark.parametrize("make", BOUNDS.values(), ids=BOUNDS.keys())
TIGHT = {"atol": 1e-10, "rtol": 0}


class BatchMixed(ImportanceWeighted):
    """Deliberately wrong: one weight for the whole batch, as a bound has that sums over sequences first."""

    def value(self, log_w):
        mixed = log_mean_exp(log_w.sum(-1, keepdim=True)) / log_w.shape[-1]
        return mixed.expand(log_w.shape[-1])


def off_guide(toy, batch=None):
    """A diagonal Gaussian that is not the posterior: rows of mu and sigma, and their guide."""
    rows = (batch or len(toy.x), *toy.z_shape)
    mu = torch.randn(rows, dtype=torch.float64)
    sigma = torch.rand(rows, dtype=torch.float64) * 0.5 + 0.5
    return mu, sigma, FixedGuide(mu, sigma)


def drawing(guide, z):
    """A mean-field guide, whose draw is z."""
    return FixedGuide(guide.mu, guide.log_sigma.exp(), z)


def many(toy, copies):
    """One text and one row of a guide, repeated: the batch is a sample of independent estimates.

    The guide is near the posterior and wider in every direction, so that importance weights have a variance.
    """
    mu = toy.posterior_mean(toy.x[:1]).view(1, *toy.z_shape).detach() + 0.2
    sigma = torch.ones_like(mu)
    guide = FixedGuide(mu.expand(copies, *toy.z_shape), sigma.expand(copies, *toy.z_shape))
    return toy.x[:1].expand(copies, -1), guide


# ---- tightness and order


@pytest.mark.parametrize("particles", [1, 2, 7])
@pytest.mark.parametrize("make", [BOUNDS["elbo, sampled kl"], ImportanceWeighted])
def test_every_bound_is_the_evidence_at_the_exact_posterior_whatever_is_drawn(make, particles, toy):
    terms = make(particles).terms(toy, toy.exact_guide(), toy.x)
    torch.testing.assert_close(terms.bound, toy.evidence(toy.x), **TIGHT)


def test_a_guide_beside_the_posterior_is_not_tight(toy):
    _, _, guide = off_guide(toy)
    gap = toy.evidence(toy.x) - ImportanceWeighted(2).terms(toy, guide, toy.x).bound
    assert gap.abs().min() > 1e-3


def test_the_effective_sample_size_is_the_number_of_particles_at_the_exact_posterior(toy):
    size = ImportanceWeighted(7).terms(toy, toy.exact_guide(), toy.x).effective_sample_size
    torch.testing.assert_close(size, torch.full((4,), 7.0, dtype=torch.float64), **TIGHT)
    _, _, guide = off_guide(toy)
    size = ImportanceWeighted(7).terms(toy, guide, toy.x).effective_sample_size
    assert (size > 1).all()
    assert (size < 6.9).all()


def test_elbo_is_below_the_importance_weighted_bounds_and_those_below_the_evidence(toy):
    x, guide = many(toy, 2000)
    bounds = [ELBO(1), ImportanceWeighted(2), ImportanceWeighted(16)]
    means = [bound.terms(toy, guide, x).bound.detach() for bound in bounds]
    for lower, higher in zip(means, [*means[1:], toy.evidence(toy.x[:1])], strict=True):
        error = (lower.var() / 2000 + (higher.var() / 2000 if len(higher) > 1 else 0)).sqrt()
        assert higher.mean() - lower.mean() > 4 * error


def test_the_exponential_of_the_importance_weighted_bound_has_the_evidence_as_its_mean(toy):
    x, guide = many(toy, 4000)
    ratio = (ImportanceWeighted(8).terms(toy, guide, x).bound - toy.evidence(x)).exp()
    z_test(ratio, 1.0)


@pytest.mark.parametrize("wrong", [ELBO(8, closed_form_kl=False), BatchMixed(8)])
def test_of_no_other_bound_is_that_so(wrong, toy):
    x, guide = many(toy, 4000)
    # the mixed bound has one value for the whole batch, so that a little noise keeps the test from dividing by zero
    ratio = (wrong.terms(toy, guide, x).bound - toy.evidence(x)).exp() + 1e-6 * torch.randn(4000)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(ratio, 1.0)


@pytest.mark.parametrize("closed_form", [True, False])
def test_the_elbo_has_its_closed_form_as_its_mean(closed_form, toy):
    x, guide = many(toy, 4000)
    expected = toy.elbo(x[:1], guide.mu[:1], guide.sigma[:1])
    values = ELBO(1, closed_form).terms(toy, guide, x).bound
    z_test(values, expected[0])
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(values, toy.evidence(toy.x[:1])[0])


def test_the_gap_of_the_best_mean_field_guide_is_its_closed_form(toy):
    """log p(x) - max ELBO = (Σ log Λ_ii - log det Λ) / 2."""
    mu = toy.posterior_mean(toy.x).view(4, *toy.z_shape)
    sigma = toy.precision().diag().rsqrt().view(1, *toy.z_shape).expand_as(mu)
    gap = toy.evidence(toy.x) - toy.elbo(toy.x, mu, sigma)
    expected = 0.5 * (toy.precision().diag().log().sum() - torch.logdet(toy.precision()))
    torch.testing.assert_close(gap, expected.expand(4), **TIGHT)


# ---- gradients


def test_the_elbos_gradient_has_the_hand_derived_one_as_its_mean(toy):
    """∇_μ = Wᵀ(x - b - Wμ) / s² - μ, and ∇_logσ = 1 - σ² diag(WᵀW) / s² - σ², from 4,000 rows of one batch."""
    x, guide = many(toy, 4000)
    mu = guide.mu.clone().requires_grad_()
    log_sigma = guide.sigma.log().requires_grad_()
    bound = ELBO().terms(toy, FixedGuide(mu, log_sigma.exp()), x).bound.sum()
    by_mu, by_log_sigma = (gradient.flatten(1) for gradient in torch.autograd.grad(bound, [mu, log_sigma]))
    m, s2, w = mu[0].flatten(), guide.sigma[0].flatten() ** 2, toy.weight
    likelihood = w.T @ (toy.x[0] - toy.bias - w @ m) / toy.noise**2
    z_test(by_mu, likelihood - m)
    z_test(by_log_sigma, 1 - s2 * (w**2).sum(0) / toy.noise**2 - s2)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(by_mu, likelihood)  # without the prior's pull


def test_the_elbos_gradient_by_the_weights_has_the_closed_forms_as_its_mean(toy):
    x, guide = many(toy, 1)
    expected = torch.autograd.grad(toy.elbo(x, guide.mu, guide.sigma).sum(), [toy.weight, toy.bias])
    samples = [
        torch.autograd.grad(ELBO().differentiable_loss(toy, guide, x), [toy.weight, toy.bias]) for _ in range(400)
    ]
    for gradient, one in zip(expected, zip(*samples, strict=True), strict=True):
        z_test(torch.stack(one), -gradient)


# ---- per sequence, per particle


@pytest.mark.parametrize("make", [*BOUNDS.values(), BatchMixed])
def test_a_batch_is_its_sequences_one_at_a_time_on_the_same_draws(make, toy):
    mu, sigma, _ = off_guide(toy)
    z = mu + sigma * torch.randn(5, *mu.shape, dtype=torch.float64)
    together = make(5).terms(toy, FixedGuide(mu, sigma, z), toy.x).bound
    apart = [
        make(5).terms(toy, FixedGuide(mu[b : b + 1], sigma[b : b + 1], z[:, b : b + 1]), toy.x[b : b + 1])
        for b in range(4)
    ]
    agree = torch.allclose(together, torch.cat([terms.bound for terms in apart]), **TIGHT)
    assert agree != (make is BatchMixed)


@pytest.mark.parametrize("make", [BOUNDS["elbo"], BOUNDS["elbo, sampled kl"]])
def test_particles_in_one_pass_are_the_mean_of_separate_passes(make, tiny):
    z = torch.randn(5, *tiny.z.shape, dtype=torch.float64)
    together = make(5).terms(tiny.model, drawing(tiny.guide, z), tiny.x)
    apart = [make(1).terms(tiny.model, drawing(tiny.guide, one), tiny.x) for one in z]
    for name in ("bound", "log_likelihood", "kl", "kl_per_layer"):
        mean = torch.stack([getattr(terms, name) for terms in apart]).mean(0)
        torch.testing.assert_close(getattr(together, name), mean, **TIGHT)


def test_importance_weights_in_one_pass_are_those_of_separate_passes(tiny):
    z = torch.randn(5, *tiny.z.shape, dtype=torch.float64)
    together = ImportanceWeighted(5).terms(tiny.model, drawing(tiny.guide, z), tiny.x)
    log_w = torch.stack([ImportanceWeighted(1).terms(tiny.model, drawing(tiny.guide, one), tiny.x).bound for one in z])
    torch.testing.assert_close(together.bound, log_w.exp().mean(0).log(), **TIGHT)
    weights = log_w.exp() / log_w.exp().sum(0)
    torch.testing.assert_close(together.effective_sample_size, 1 / (weights**2).sum(0), **TIGHT)


def test_importance_weights_are_the_densities_by_hand(toy):
    mu, sigma, _ = off_guide(toy)
    z = mu + sigma * torch.randn(5, *mu.shape, dtype=torch.float64)
    bound = ImportanceWeighted(5).terms(toy, FixedGuide(mu, sigma, z), toy.x).bound
    mean = z.flatten(2) @ toy.weight.T + toy.bias
    log_w = (
        dist.Normal(mean, toy.noise).log_prob(toy.x).sum(-1)
        + dist.Normal(torch.zeros_like(z), 1.0).log_prob(z).flatten(2).sum(-1)
        - dist.Normal(mu, sigma).log_prob(z).flatten(2).sum(-1)
    )
    torch.testing.assert_close(bound, log_w.exp().mean(0).log(), **TIGHT)


def test_one_importance_weight_is_the_sampled_elbo_on_the_same_draw(tiny):
    z = torch.randn_like(tiny.z)
    values = [
        bound.terms(tiny.model, drawing(tiny.guide, z), tiny.x).bound
        for bound in (ImportanceWeighted(1), ELBO(1, closed_form_kl=False))
    ]
    torch.testing.assert_close(*values, **TIGHT)


@every_bound
@pytest.mark.parametrize("particles", [1, 3])
def test_terms_are_per_sequence_and_add_up(make, particles, tiny):
    terms = make(particles).terms(tiny.model, tiny.guide, tiny.x)
    assert terms.bound.shape == terms.log_likelihood.shape == terms.kl.shape == (3,)
    assert terms.kl_per_layer.shape == (3, 2)
    torch.testing.assert_close(terms.kl_per_layer.sum(-1), terms.kl, **TIGHT)
    torch.testing.assert_close(terms.elbo, terms.log_likelihood - terms.kl, **TIGHT)
    assert terms.bound.requires_grad
    assert not any(value.requires_grad for value in (terms.detach().bound, terms.detach().kl))
    if isinstance(make(1), ELBO):
        torch.testing.assert_close(terms.bound, terms.elbo, **TIGHT)


@every_bound
def test_one_seed_gives_one_value(make, tiny):
    values = []
    for seed in (1, 1, 2):
        pyro.set_rng_seed(seed)
        values.append(make(2).loss(tiny.model, tiny.guide, tiny.x))
    assert values[0] == values[1] != values[2]


def test_log_mean_exp_and_effective_sample_size_survive_large_numbers():
    log_w = torch.tensor([[-9000.0, 9000.0], [-9000.0, 9000.0], [-90000.0, -9000.0]])
    torch.testing.assert_close(log_mean_exp(log_w), torch.tensor([-9000.0, 9000.0]) + math.log(2 / 3))
    torch.testing.assert_close(effective_sample_size(log_w), torch.tensor([2.0, 2.0]))


# ---- as Pyro's own estimators are used


@every_bound
def test_the_ways_to_ask_for_the_loss_agree(make, toy):
    _, _, guide = off_guide(toy)
    bound, values = make(3), []
    for ask in (
        lambda: bound.loss(toy, guide, toy.x),
        lambda: bound.loss_and_grads(toy, guide, toy.x),
        lambda: bound.differentiable_loss(toy, guide, toy.x).item(),
        lambda: bound(toy, guide)(toy.x).item(),
        lambda: -bound.terms(toy, guide, toy.x).bound.sum().item(),
    ):
        pyro.set_rng_seed(1)
        values.append(ask())
    assert len(set(values)) == 1
    pyro.set_rng_seed(1)
    expected = torch.autograd.grad(bound.differentiable_loss(toy, guide, toy.x), [toy.weight, toy.bias])
    assert torch.equal(toy.weight.grad, expected[0])
    assert torch.equal(toy.bias.grad, expected[1])


@every_bound
def test_the_loss_module_trains_with_an_ordinary_optimizer(make, toy):
    guide = MeanFieldGuide(toy.z_shape)
    guide.start(toy.x, prior=toy.prior())
    module = make(4)(toy, guide)
    optimizer = torch.optim.Adam([*module.parameters(), *guide.local_parameters()], lr=0.1)
    before = make(500).loss(toy, guide, toy.x)
    for _ in range(60):
        optimizer.zero_grad()
        module(toy.x).backward()
        optimizer.step()
    assert make(500).loss(toy, guide, toy.x) < before - 5
    assert len(pyro.get_param_store()) == 0


# ---- what is refused


class Site(nn.Module):
    """A model or guide made of one function, with the prior that the toy has."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        return self.run(x)


def normal(batch=()):
    return dist.Normal(torch.zeros(*batch, 1, 1, 2), 1.0).to_event(3)


def plain_model(x):
    with pyro.plate("sequences", len(x), dim=-1):
        z = pyro.sample("z", normal())
        pyro.sample("x", dist.Normal(z.flatten(-3), 1.0).to_event(1), obs=x)


def plain_guide(x):
    with pyro.plate("sequences", len(x), dim=-1):
        pyro.sample("z", normal())


def subsampled(program):
    def run(x):
        with pyro.plate("sequences", 10 * len(x), subsample=torch.arange(len(x)), dim=-1):
            if program is plain_guide:
                return pyro.sample("z", normal())
            return pyro.sample("x", dist.Normal(pyro.sample("z", normal()).flatten(-3), 1.0).to_event(1), obs=x)

    return run


def with_global_site(x):
    pyro.sample("scale", dist.Normal(0.0, 1.0))
    plain_model(x)


def guide_with_global_site(x):
    pyro.sample("scale", dist.Normal(0.0, 1.0))
    plain_guide(x)


def score_function_guide(x):
    class Unreparameterised(dist.Normal):
        has_rsample = False

    mu = torch.zeros(len(x), 1, 1, 2, requires_grad=True)
    with pyro.plate("sequences", len(x), dim=-1):
        pyro.sample("z", Unreparameterised(mu, 1.0).to_event(3))


@every_bound
@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize(
    ("model", "guide", "message"),
    [
        (subsampled(plain_model), subsampled(plain_guide), "scale the loss outside"),
        (poutine.scale(plain_model, scale=2.0), plain_guide, "scale the loss outside"),
        (poutine.scale(plain_model, scale=torch.tensor(2.0)), plain_guide, "scale the loss outside"),
        (with_global_site, guide_with_global_site, "'scale' is outside the plate"),
        (plain_model, score_function_guide, "cannot be reparameterised"),
    ],
    ids=["subsampled plate", "scaled", "scaled by a tensor", "global site", "not reparameterised"],
)
def test_programs_that_bound_nothing_are_refused(make, particles, model, guide, message):
    with pytest.raises(InputError, match=message):
        make(particles).terms(Site(model), Site(guide), torch.zeros(3, 2))


@every_bound
def test_the_same_programs_without_the_fault_are_not_refused(make):
    assert make(3).terms(Site(plain_model), Site(plain_guide), torch.zeros(3, 2)).bound.shape == (3,)


@every_bound
def test_a_guide_without_the_models_site_is_refused(make):
    with pytest.warns(UserWarning, match="not guide"), pytest.raises(InputError, match=r"does not sample .*'z'"):
        make(1).terms(Site(plain_model), Site(lambda x: None), torch.zeros(3, 2))


@every_bound
def test_a_model_without_data_is_refused(make, tiny):
    with pytest.warns(UserWarning, match="not guide"), pytest.raises(InputError, match="nothing is observed"):
        make(1).terms(tiny.model, tiny.guide, batch_size=3)


@every_bound
def test_without_gradients_no_reparameterisation_is_needed(make):
    with torch.no_grad():
        terms = make(3).terms(Site(plain_model), Site(score_function_guide), torch.zeros(3, 2))
    assert terms.bound.isfinite().all()
    assert math.isfinite(make(3).loss(Site(plain_model), Site(score_function_guide), torch.zeros(3, 2)))


@every_bound
@pytest.mark.parametrize("particles", [0, -1])
def test_at_least_one_particle_is_needed(make, particles):
    with pytest.raises(InputError, match=f"particles={particles}"):
        make(particles)
