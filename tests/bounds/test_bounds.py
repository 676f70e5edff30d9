"""The contract of every bound, checked where the evidence is known. A new bound is one more entry in `BOUNDS`."""

import math
from itertools import pairwise

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import nn
from toys import FixedGuide, z_test

from ltm_pyro import (
    ELBO,
    CategoricalGuide,
    ChiUpper,
    Claim,
    CombinedImportanceWeighted,
    ImportanceWeighted,
    InputError,
    Jackknife,
    MeanFieldGuide,
    MultiplyImportanceWeighted,
    PartiallyImportanceWeighted,
    Renyi,
    Thermodynamic,
)
from ltm_pyro.bounds import Draws
from ltm_pyro.bounds.weights import effective_sample_size, log_mean_exp
from ltm_pyro.models.exact import FiniteMixture

BOUNDS = {
    "elbo": ELBO,
    "elbo, sampled kl": lambda particles: ELBO(particles, closed_form_kl=False),
    "importance weighted": ImportanceWeighted,
    "renyi 0.5": lambda particles: Renyi(0.5, particles),
    "renyi 3": lambda particles: Renyi(3.0, particles),
    "renyi 0.999": lambda particles: Renyi(0.999, particles),
    "renyi -1": lambda particles: Renyi(-1.0, particles),
    "thermodynamic": Thermodynamic,
    "thermodynamic, uniform": lambda particles: Thermodynamic(particles, intervals=3, schedule="uniform"),
    "thermodynamic, right": lambda particles: Thermodynamic(particles, side="right"),
    "jackknife 1": Jackknife,
    "jackknife 2": lambda particles: Jackknife(particles, order=2),
    "multiply importance weighted": MultiplyImportanceWeighted,
    "partially importance weighted": PartiallyImportanceWeighted,
    "combined importance weighted": CombinedImportanceWeighted,
    "chi upper": lambda particles: ChiUpper(particles, order=1.2),  # where the mean is not ruled by rare weights
}
SIZES = (1, 2, 3, 6, 7)
TIGHT = {"atol": 1e-10, "rtol": 0}


def takes(make, particles):
    try:
        make(particles)
    except InputError:
        return False
    return True


def sizes_of(make):
    return [particles for particles in SIZES if takes(make, particles)]


every_bound = pytest.mark.parametrize("make", BOUNDS.values(), ids=BOUNDS.keys())
WITH_SIZES = {f"{name}, S={size}": (make, size) for name, make in BOUNDS.items() for size in sizes_of(make)}
every_bound_and_size = pytest.mark.parametrize(("make", "particles"), WITH_SIZES.values(), ids=WITH_SIZES.keys())


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


def many(toy, copies, near=False):
    """One text and one row of a guide, repeated: the batch is a sample of independent estimates.

    The guide is near the posterior and wider in every direction, so that importance weights have a variance; `near`
    it is so near that their higher powers have a mean that can be seen.
    """
    mu, sigma = toy.best_mean_field(toy.x[:1])
    mu, sigma = (mu + 0.05, 1.2 * sigma) if near else (mu + 0.2, torch.ones_like(mu))
    guide = FixedGuide(mu.expand(copies, *toy.z_shape), sigma.expand(copies, *toy.z_shape))
    return toy.x[:1].expand(copies, -1), guide


# ---- tightness and order


@every_bound_and_size
def test_every_bound_is_the_evidence_at_the_exact_posterior_whatever_is_drawn(make, particles, toy):
    terms = make(particles).terms(toy, toy.exact_guide(), toy.x)
    torch.testing.assert_close(terms.bound, toy.evidence(toy.x), **TIGHT)


@every_bound_and_size
def test_the_same_where_the_evidence_is_a_finite_sum(make, particles):
    mixture = FiniteMixture(z_shape=(1, 1, 6))
    guide = CategoricalGuide(mixture.z_shape)
    guide.start(mixture.x)
    guide.logits = mixture.posterior(mixture.x).T.log().view(-1, *mixture.z_shape)
    with torch.no_grad():
        terms = make(particles).terms(mixture, guide, mixture.x)
    value = terms.bound
    if terms.kl_closed_form and isinstance(make(particles), ELBO):
        # an exact KL leaves the likelihood's own scatter, so that this ELBO is tight in the mean alone
        value = make(particles).value(Draws(mixture, guide, (mixture.x,), {}, particles).log_weight)
    torch.testing.assert_close(value, mixture.evidence(mixture.x), **TIGHT)


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


def test_elbo_importance_weighted_evidence_and_cubo_stand_in_this_order(toy):
    x, guide = many(toy, 4000, near=True)
    bounds = [ELBO(1), *(ImportanceWeighted(size) for size in (2, 3, 6, 16))]
    values = [bound.terms(toy, guide, x).bound.detach() for bound in bounds]
    values += [toy.evidence(x), ChiUpper(16, order=1.2).terms(toy, guide, x).bound.detach()]
    for lower, higher in pairwise(values):
        assert z_of(higher - lower) > 4


@every_bound
def test_every_bound_is_on_the_side_that_it_claims(make, toy):
    x, guide = many(toy, 4000, near=True)
    bound = make(6)
    z = z_of(bound.terms(toy, guide, x).bound.detach() - toy.evidence(x))
    assert kept(bound.claim, z)


def test_a_claim_that_is_false_is_found_out(toy):
    """The logarithm of an unbiased estimate of E[w²] is no upper bound; on the same test it fails."""
    x, guide = many(toy, 4000, near=True)
    z = z_of(Renyi(-1.0, 2).terms(toy, guide, x).bound.detach() - toy.evidence(x))
    assert not kept(Claim.UPPER, z)
    assert kept(Renyi(-1.0, 2).claim, z)


def kept(claim, z):
    """Whether a difference of z standard errors from the evidence is what a claim allows."""
    return {Claim.LOWER: z < -4, Claim.UPPER: z > 4}.get(claim, True)


def z_of(differences):
    """The mean in standard errors; the two samples are independent, and their difference is taken row by row."""
    return (differences.mean() / (differences.std() / math.sqrt(len(differences)))).item()


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
    z = mu + sigma * torch.randn(6, *mu.shape, dtype=torch.float64)
    together = make(6).terms(toy, FixedGuide(mu, sigma, z), toy.x).bound
    apart = [
        make(6).terms(toy, FixedGuide(mu[b : b + 1], sigma[b : b + 1], z[:, b : b + 1]), toy.x[b : b + 1])
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


@every_bound_and_size
def test_terms_are_per_sequence_and_add_up(make, particles, tiny):
    terms = make(particles).terms(tiny.model, tiny.guide, tiny.x)
    assert terms.bound.shape == terms.log_likelihood.shape == terms.kl.shape == (3,)
    assert terms.kl_per_layer.shape == (3, 2)
    torch.testing.assert_close(terms.kl_per_layer.sum(-1), terms.kl, **TIGHT)
    torch.testing.assert_close(terms.elbo, terms.log_likelihood - terms.kl, **TIGHT)
    assert terms.bound.requires_grad
    assert not any(value.requires_grad for value in (terms.detach().bound, terms.detach().kl))
    if isinstance(make(particles), ELBO):
        torch.testing.assert_close(terms.bound, terms.elbo, **TIGHT)


@every_bound
def test_one_seed_gives_one_value(make, tiny):
    values = []
    for seed in (1, 1, 2):
        pyro.set_rng_seed(seed)
        values.append(make(6).loss(tiny.model, tiny.guide, tiny.x))
    assert values[0] == values[1] != values[2]


def test_log_mean_exp_and_effective_sample_size_survive_large_numbers():
    log_w = torch.tensor([[-9000.0, 9000.0], [-9000.0, 9000.0], [-90000.0, -9000.0]])
    torch.testing.assert_close(log_mean_exp(log_w), torch.tensor([-9000.0, 9000.0]) + math.log(2 / 3))
    torch.testing.assert_close(effective_sample_size(log_w), torch.tensor([2.0, 2.0]))


# ---- as Pyro's own estimators are used


@every_bound
def test_the_ways_to_ask_for_the_loss_agree(make, toy):
    _, _, guide = off_guide(toy)
    bound, values = make(6), []
    for ask in (
        lambda: bound.loss(toy, guide, toy.x),
        lambda: bound.loss_and_grads(toy, guide, toy.x),
        lambda: bound.differentiable_loss(toy, guide, toy.x).item(),
        lambda: bound(toy, guide)(toy.x).item(),
        lambda: -bound.terms(toy, guide, toy.x).objective.sum().item(),
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
    bound = make(6)
    learned = [] if bound.refusal_of_slow_step else [*toy.parameters()]
    learned += [] if bound.refusal_of_fast_loop else guide.local_parameters()
    if not learned:
        pytest.skip("nothing learns from it")
    optimizer = torch.optim.Adam(learned, lr=0.05)
    before = ELBO(500).loss(toy, guide, toy.x)
    for _ in range(80):
        if bound.refusal_of_fast_loop:  # q follows the weights in another way
            mu, sigma = toy.best_mean_field(toy.x)
            guide.mu, guide.log_sigma = mu, sigma.log()
        optimizer.zero_grad()
        bound(toy, guide)(toy.x).backward()
        optimizer.step()
    assert ELBO(500).loss(toy, guide, toy.x) < before - 5
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
def test_programs_that_bound_nothing_are_refused(make, model, guide, message):
    with pytest.raises(InputError, match=message):
        make(6).terms(Site(model), Site(guide), torch.zeros(3, 2))


@every_bound
def test_the_same_programs_without_the_fault_are_not_refused(make):
    assert make(6).terms(Site(plain_model), Site(plain_guide), torch.zeros(3, 2)).bound.shape == (3,)


@every_bound
def test_a_guide_without_the_models_site_is_refused(make):
    with pytest.warns(UserWarning, match="not guide"), pytest.raises(InputError, match=r"does not sample .*'z'"):
        make(6).terms(Site(plain_model), Site(lambda x: None), torch.zeros(3, 2))


@every_bound
def test_a_model_without_data_is_refused(make, tiny):
    with pytest.warns(UserWarning, match="not guide"), pytest.raises(InputError, match="nothing is observed"):
        make(6).terms(tiny.model, tiny.guide, batch_size=3)


@every_bound
def test_without_gradients_no_reparameterisation_is_needed(make):
    with torch.no_grad():
        terms = make(6).terms(Site(plain_model), Site(score_function_guide), torch.zeros(3, 2))
    assert terms.bound.isfinite().all()
    assert math.isfinite(make(6).loss(Site(plain_model), Site(score_function_guide), torch.zeros(3, 2)))


@every_bound
@pytest.mark.parametrize("particles", [0, -1])
def test_at_least_one_particle_is_needed(make, particles):
    with pytest.raises(InputError, match=f"particles={particles}"):
        make(particles)
