"""Every Gaussian guide against closed forms: its density, its KL, and what it reaches on models that are Gaussian."""

from functools import partial

import pyro.distributions as dist
import pytest
import torch
from gaussians import covariance, exact_elbo, mean_field_gap, random_precision, with_precision
from torch.distributions import MultivariateNormal
from toys import z_test

from ltm_pyro import (
    ELBO,
    FastLoop,
    FixedVarianceGuide,
    FullCovarianceGuide,
    GaussianPrior,
    InputError,
    LayerChainedGuide,
    LowRankGuide,
    MatrixNormalGuide,
    MeanFieldGuide,
)
from ltm_pyro.bounds.divergence import divergence

Z_SHAPE = (3, 2, 2)
STRUCTURED = {
    "low rank": partial(LowRankGuide, rank=3),
    "matrix normal": MatrixNormalGuide,
    "full": FullCovarianceGuide,
    "full over z": partial(FullCovarianceGuide, unit="z"),
    "layer chained": partial(LayerChainedGuide, rank=2),
}
GAUSSIANS = {"mean field": MeanFieldGuide, "fixed": partial(FixedVarianceGuide, sigma=None), **STRUCTURED}
every_gaussian = pytest.mark.parametrize("make", GAUSSIANS.values(), ids=GAUSSIANS.keys())
structured = pytest.mark.parametrize("make", STRUCTURED.values(), ids=STRUCTURED.keys())


def some_prior():
    return dist.Normal(torch.randn(Z_SHAPE).double(), 0.3 + torch.rand(Z_SHAPE).double()).to_event(3)


def moved(make, prior, batch=2, spread=1.0):
    """A guide whose rows are anywhere, so that all of its couplings count."""
    guide = make(Z_SHAPE)
    guide.start(torch.zeros(batch, 5, dtype=torch.long), prior=prior)
    with torch.no_grad():
        for row in guide.local_parameters():
            row.add_(spread * torch.randn_like(row))
    return guide


# ---- densities


@every_gaussian
def test_it_starts_at_the_prior(make):
    prior = some_prior()
    q = moved(make, prior, spread=0.0).posterior()
    kl = divergence(q, prior.expand((2,)), q.rsample())
    assert kl.closed_form
    assert kl.total.abs().max() < 1e-3
    torch.testing.assert_close(q.mean, prior.mean.expand_as(q.mean))
    torch.testing.assert_close(q.variance, prior.variance.expand_as(q.mean), atol=0, rtol=0.01)


@every_gaussian
def test_its_density_has_the_moments_that_it_states_and_draws(make):
    q = moved(make, some_prior()).posterior()
    spread = covariance(q)
    torch.testing.assert_close(spread.diagonal(dim1=-2, dim2=-1), q.variance.flatten(1))
    expected = MultivariateNormal(q.mean.flatten(1), spread)
    z = q.rsample((7,))
    torch.testing.assert_close(q.log_prob(z), expected.log_prob(z.flatten(2)))
    z = q.sample((50_000,)).flatten(2) - q.mean.flatten(1)
    z_test(z, torch.zeros(2, 12), limit=4.5)
    products = z[..., :, None] * z[..., None, :]
    z_test(products, spread, limit=4.5)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(products, 1.1 * spread, limit=4.5)


@structured
def test_what_it_couples_is_no_mean_field(make):
    spread = covariance(moved(make, some_prior(), spread=3.0).posterior())
    scale = spread.diagonal(dim1=-2, dim2=-1).rsqrt()
    correlation = scale[..., None] * spread * scale[..., None, :] - torch.eye(12, dtype=torch.float64)
    assert correlation.abs().amax((1, 2)).min() > 0.05


def dense_kl(q, prior):
    """KL(q || p) by their whole covariances, (B,)."""
    p = MultivariateNormal(prior.mean.flatten(), prior.variance.flatten().diag())
    return torch.distributions.kl_divergence(MultivariateNormal(q.mean.flatten(1), covariance(q)), p)


@every_gaussian
def test_its_kl_is_exact(make):
    prior, guide = some_prior(), moved(make, some_prior())
    q = guide.posterior()
    expected = dense_kl(q, prior)
    for batch in ((2,), (5, 2)):
        kl = divergence(q.expand(batch), prior.expand(batch), q.rsample())
        assert kl.closed_form
        torch.testing.assert_close(kl.total, expected.expand(batch))
    z = q.sample((20_000,))
    z_test(q.log_prob(z) - prior.log_prob(z), expected)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(q.log_prob(z) - prior.log_prob(z), expected.flip(0))


@structured
def test_against_another_prior_its_kl_is_sampled(make):
    q, p = moved(make, some_prior()).posterior(), dist.Laplace(torch.zeros(Z_SHAPE), 1.0).to_event(3)
    z = q.sample()
    kl = divergence(q, p.expand((2,)), z)
    assert not kl.closed_form
    torch.testing.assert_close(kl.total, q.log_prob(z) - p.log_prob(z))


def by_hand(mean, spread, p_mean, p_sigma, layers):
    """E_q KL(q(z_l | z_<l) || p(z_l)) of one dense Gaussian, with the conditionals written out, shape (L,)."""
    shares, size = [], len(mean) // layers
    for first in range(0, len(mean), size):
        own, before = slice(first, first + size), slice(first)
        carry = torch.linalg.solve(spread[before, before], spread[before, own]).T  # of what is before to the mean
        given = spread[own, own] - carry @ spread[before, own]
        precision = p_sigma[own].square().reciprocal().diag()
        moves = carry @ spread[before, before] @ carry.T  # the covariance of the conditional mean
        distance = (mean - p_mean)[own] @ precision @ (mean - p_mean)[own]
        logs = torch.logdet(precision) + torch.logdet(given)
        shares.append(0.5 * ((precision @ (given + moves)).trace() + distance - size - logs))
    return torch.stack(shares)


@every_gaussian
def test_its_kl_splits_over_the_layers_by_the_chain_rule(make):
    prior = some_prior()
    q = moved(make, prior).posterior()
    moments = prior.mean.flatten(), prior.variance.sqrt().flatten()
    dense = zip(q.mean.flatten(1), covariance(q), strict=True)
    expected = torch.stack([by_hand(*one, *moments, layers=Z_SHAPE[0]) for one in dense])  # (2, 3)
    for batch in ((2,), (5, 2)):
        kl = divergence(q.expand(batch), prior.expand(batch), q.rsample())
        assert kl.closed_form
        torch.testing.assert_close(kl.per_layer, expected.expand(*batch, 3))
        torch.testing.assert_close(kl.per_layer.sum(-1), kl.total, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", ["low rank", "matrix normal", "full over z", "layer chained"])
def test_a_layer_that_follows_from_the_one_before_costs_more_than_its_marginal(name):
    """Couplings of layers are in the split: without them the shares would not add up."""
    prior = some_prior()
    q = moved(STRUCTURED[name], prior).posterior()
    kl, spread = divergence(q, prior.expand((2,)), q.rsample()), covariance(q)
    for layer, own in enumerate(torch.arange(12).view(3, 4)):
        p = MultivariateNormal(prior.mean.flatten()[own], prior.variance.flatten()[own].diag())
        alone = MultivariateNormal(q.mean.flatten(1)[:, own], spread[:, own][:, :, own])
        marginal = torch.distributions.kl_divergence(alone, p)
        if layer == 0:
            torch.testing.assert_close(kl.per_layer[:, layer], marginal)
        else:
            assert (kl.per_layer[:, layer] - marginal).min() > 1e-4


@structured
def test_the_split_has_the_gradient_of_the_whole(make):
    prior, guide = some_prior(), moved(make, some_prior())
    q = guide.posterior()
    whole = dense_kl(q, prior)
    shares = divergence(q, prior.expand((2,)), q.rsample()).per_layer
    slopes = [torch.autograd.grad(kl.sum(), guide.local_parameters(), retain_graph=True) for kl in (shares, whole)]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)


@structured
def test_units_are_the_priors(make):
    """The same rows are the same posterior, in units of the prior's standard deviations."""
    distances = []
    for sigma in (1.0, 1e-3):
        torch.manual_seed(0)
        prior = GaussianPrior(Z_SHAPE, sigma).double()()
        guide = moved(make, prior, spread=0.0)
        with torch.no_grad():
            for row in guide.local_parameters()[1:]:
                row.add_(torch.randn_like(row))
        distances.append(divergence(guide.posterior(), prior.expand((2,)), guide.mu).total)
    torch.testing.assert_close(*distances, atol=1e-5, rtol=0)


# ---- what each family can express


def fitted(guide, toy, steps=600, rate=0.15):
    """Without noise at the optimum where that is the posterior: the KL is sampled, the gradient sticks the landing."""
    FastLoop(ELBO(16, closed_form_kl=False), steps, rate, 0.0).fit(toy, guide, toy.x)
    return guide


def lack(guide, toy):
    """Nats below log p(x), exact, shape (B,)."""
    with torch.no_grad():
        q = guide.posterior()
        return toy.evidence(toy.x) - exact_elbo(toy, q.mean.flatten(1), covariance(q))


def kronecker():
    thoughts, places = random_precision(3), random_precision(2)
    return with_precision(torch.kron(thoughts, places), (3, 1, 2))


def low_rank():
    """A posterior that is most uncertain along two directions."""
    w = torch.randn(6, 2, dtype=torch.float64)
    spread = torch.diag(0.05 + 0.1 * torch.rand(6, dtype=torch.float64)) + w @ w.T / 20
    return with_precision(torch.linalg.inv(spread), (3, 1, 2))


def chain():
    step, sigma = torch.randn(2, 2, 2, dtype=torch.float64), 0.3 + 0.2 * torch.rand(6, dtype=torch.float64)
    links = torch.eye(6, dtype=torch.float64)
    links[2:4, :2], links[4:, 2:4] = -0.6 * step[0], -0.6 * step[1]
    return with_precision(links.T @ torch.diag(sigma**-2) @ links, (3, 1, 2))


def by_thought():
    return with_precision(torch.block_diag(*(random_precision(2) for _ in range(3))), (3, 1, 2))


def anything():
    return with_precision(random_precision(6), (3, 1, 2))


EXACT = {
    "full over z": (partial(FullCovarianceGuide, unit="z"), anything),
    "full": (FullCovarianceGuide, by_thought),
    "low rank": (partial(LowRankGuide, rank=2), low_rank),
    "low rank, of all ranks": (partial(LowRankGuide, rank=6), anything),
    "matrix normal": (MatrixNormalGuide, kronecker),
    "layer chained": (partial(LayerChainedGuide, rank=2), chain),
}
WRONG = {
    "mean field": (MeanFieldGuide, anything),
    "full": (FullCovarianceGuide, kronecker),
    "low rank": (partial(LowRankGuide, rank=1), kronecker),
    "matrix normal": (MatrixNormalGuide, chain),
    "layer chained": (partial(LayerChainedGuide, rank=2), kronecker),
    "layer chained, thinly": (partial(LayerChainedGuide, rank=1), chain),
    "fixed": (FixedVarianceGuide, anything),
}


@pytest.mark.parametrize(("make", "model"), EXACT.values(), ids=EXACT.keys())
def test_it_is_the_posterior_where_that_is_in_the_family(make, model):
    toy = model()
    assert mean_field_gap(toy) > 0.1  # so that a diagonal would not do
    assert lack(fitted(make(toy.z_shape), toy), toy).abs().max() < 1e-3


@pytest.mark.parametrize(("make", "model"), WRONG.values(), ids=WRONG.keys())
def test_it_is_not_where_it_is_not(make, model):
    toy = model()
    assert lack(fitted(make(toy.z_shape), toy), toy).min() > 0.01


def test_the_mean_field_stops_at_its_closed_form_gap():
    toy = anything()
    best = toy.evidence(toy.x) - toy.elbo(toy.x, *toy.best_mean_field(toy.x)).detach()
    torch.testing.assert_close(best, mean_field_gap(toy).expand(4))
    FastLoop(ELBO(64), 300, 0.2, 0.0).fit(toy, guide := MeanFieldGuide(toy.z_shape), toy.x)
    assert (lack(guide, toy) - best).abs().max() < 0.02
    assert best.min() > 0.2


# ---- arguments


def test_a_fixed_width_stays(tiny):
    for sigma, expected in ((0.5, 0.5), (None, 0.3)):
        guide = FixedVarianceGuide((1, 2, 2), sigma)
        guide.start(tiny.x, prior=GaussianPrior((1, 2, 2), sigma=0.3)())
        assert [row.shape for row in guide.local_parameters()] == [(3, 1, 2, 2)]
        torch.testing.assert_close(guide.posterior().stddev, torch.full((3, 1, 2, 2), expected))


def test_what_a_fixed_width_costs_is_what_the_documentation_says(tiny):
    guide, prior = FixedVarianceGuide((1, 2, 2), 0.5), GaussianPrior((1, 2, 2))()
    guide.start(tiny.x, prior=prior)
    kl = divergence(guide.posterior(), prior.expand((3,)), guide.mu).total
    torch.testing.assert_close(kl, torch.full((3,), 4 * (0.5 * (0.25 - 1) - torch.tensor(0.5).log().item())))


def test_a_single_layer_has_no_chain(tiny):
    guide = LayerChainedGuide((1, 2, 2))
    guide.start(tiny.x)
    assert len(guide.local_parameters()) == 2
    assert guide(tiny.x).shape == (3, 1, 2, 2)
    assert guide.posterior().variance.shape == (3, 1, 2, 2)


def test_ranks_end_where_the_dimensions_do():
    assert LowRankGuide((1, 1, 3), rank=8).rank == 3
    assert LayerChainedGuide((4, 1, 3), rank=8).rank == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(LowRankGuide, rank=0), "rank=0"),
        (partial(LayerChainedGuide, rank=0), "rank=0"),
        (partial(FullCovarianceGuide, unit="layer"), "unit='layer': expected one of thought, z"),
        (partial(FixedVarianceGuide, sigma=0.0), "sigma=0.0"),
        (partial(FixedVarianceGuide, sigma=float("nan")), "sigma=nan"),
        (partial(FixedVarianceGuide, sigma=float("inf")), "sigma=inf"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(make, message):
    with pytest.raises(InputError, match=message):
        make(Z_SHAPE)


def test_a_covariance_that_fits_nowhere_is_refused():
    with pytest.raises(InputError, match="unit='z' has 8192 dimensions"):
        FullCovarianceGuide((4, 16, 128), unit="z")
    FullCovarianceGuide((4, 16, 128))
