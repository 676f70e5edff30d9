"""The contract of every prior. A new prior is one more entry in `PRIORS`."""

import math
from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from scipy.stats import chi2
from toys import SIZES, z_test

from ltm_pyro import (
    ELBO,
    AbstractPrior,
    Decoder,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    InputError,
    LatentThoughtModel,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.bounds.divergence import divergence
from ltm_pyro.models.priors import (
    AutoregressivePrior,
    CouplingFlowPrior,
    ExemplarPrior,
    HierarchicalPrior,
    LaplacePrior,
    LearnedGaussianPrior,
    MixturePrior,
    SplineFlowPrior,
    StudentTPrior,
    VampPrior,
)

PRIORS = {
    "gaussian": GaussianPrior,
    "narrow gaussian": partial(GaussianPrior, sigma=0.3),
    "learned gaussian": LearnedGaussianPrior,
    "learned gaussian, one for all": partial(LearnedGaussianPrior, unit="z"),
    "learned gaussian, one a layer": partial(LearnedGaussianPrior, unit="layer"),
    "learned gaussian, one a thought": partial(LearnedGaussianPrior, unit="thought"),
    "student t": StudentTPrior,
    "laplace": LaplacePrior,
    "mixture": partial(MixturePrior, components=3),
    "mixture by layer": partial(MixturePrior, components=3, unit="layer"),
    "mixture by thought": partial(MixturePrior, components=3, unit="thought"),
    "vamp": partial(VampPrior, components=4),
    "vamp, weighted": partial(VampPrior, components=4, learn_weights=True),
    "vamp of texts": partial(ExemplarPrior, components=4),
    "hierarchical": partial(HierarchicalPrior, hidden=16),
    "autoregressive": partial(AutoregressivePrior, width=16, blocks=1, heads=2),
    "coupling flow": partial(CouplingFlowPrior, transforms=3, hidden=16),
    "spline flow": partial(SplineFlowPrior, transforms=2, hidden=16),
}
EXACT_KL = {name for name in PRIORS if "gaussian" in name or name == "laplace"}
SAMPLES_ONLY = {name for name in PRIORS if "mixture" in name or "vamp" in name}  # without a path to the parameters
every_prior = pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS.keys())
every_named_prior = pytest.mark.parametrize("name", PRIORS)


def moved(prior):
    """The same prior in float64, away from where it starts."""
    prior = prior.double()
    with torch.no_grad():
        for parameter in prior.parameters():
            scale = 0.5 / math.sqrt(parameter.shape[1]) if parameter.dim() == 2 else 0.4
            parameter.add_(scale * torch.randn_like(parameter))
    return prior


class Widened:
    """Samples that are a tenth wider than their density."""

    def __init__(self, p):
        self.p = p

    def sample(self, sample_shape):
        return 1.1 * self.p.sample(sample_shape)

    def log_prob(self, z):
        return self.p.log_prob(z)


CELLS, FINE, EDGE = 24, 10, 6.0  # a dimension: cells, points in each, and the edge, all of u = asinh(z)


def cell_masses(p, z_shape):
    """Probability of each cell of a grid over one or two dimensions, by the midpoint rule, shape (CELLS, ...)."""
    dims, points = math.prod(z_shape), CELLS * FINE
    u = (torch.arange(points, dtype=torch.float64) + 0.5) * (2 * EDGE / points) - EDGE
    u = torch.stack(torch.meshgrid(*[u] * dims, indexing="ij"), -1)  # (points, ..., dims)
    with torch.no_grad():
        log_density = p.log_prob(u.sinh().view(*u.shape[:-1], *z_shape)) + u.cosh().log().sum(-1)
    mass = log_density.exp() * (2 * EDGE / points) ** dims
    return mass.unfold(0, FINE, FINE).sum(-1) if dims == 1 else mass.view(CELLS, FINE, CELLS, FINE).sum((1, 3))


def assert_samples_fall_as_the_density_says(p, z_shape, samples=20_000):
    """A chi-square test of the samples' histogram; of a density that integrates to one."""
    expected = cell_masses(p, z_shape).flatten()
    assert abs(expected.sum() - 1) < 1e-3
    u = p.sample((samples,)).view(samples, -1).asinh()
    cell = ((u + EDGE) * CELLS / (2 * EDGE)).long().clamp(0, CELLS - 1)
    cell = cell[:, 0] if u.shape[1] == 1 else cell[:, 0] * CELLS + cell[:, 1]
    counts = torch.bincount(cell, minlength=len(expected)).double()
    rare = samples * expected < 10
    rare |= expected == expected[~rare].min()  # and one more, so that together they are not rare
    counts = torch.cat((counts[~rare], counts[rare].sum()[None]))
    expected = samples * torch.cat((expected[~rare], 1 - expected[~rare].sum()[None]))
    statistic = ((counts - expected) ** 2 / expected).sum().item()
    limit = chi2.ppf(0.9999, len(counts) - 1)
    assert statistic < limit, f"chi-square {statistic:.0f}, limit {limit:.0f}"


def bridge(p, samples=20_000):
    r"""Differences whose mean is 0 if p samples what it scores, and scores what integrates to one.

    For every normalised r, :math:`E_p[r / (p + r)] = E_r[p / (p + r)]` (Meng and Wong, 1996, equation 2.1); both
    sides are between 0 and 1, whatever the tails. Here r is the normal distribution with the moments of p's samples.
    """
    z = p.sample((2 * samples,)).flatten(1)
    seen, fresh = z.split(samples)
    r = dist.MultivariateNormal(seen.mean(0), seen.T.cov())

    def log_ratio(z):
        return p.log_prob(z.view(samples, 2, 2, 2)) - r.log_prob(z)

    with torch.no_grad():
        return torch.sigmoid(-log_ratio(fresh)) - torch.sigmoid(log_ratio(r.sample((samples,))))


def leaves(value):
    """The leaf tensors that a value has a gradient for."""
    found, seen, nodes = set(), set(), [value.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found.update([node.variable] if hasattr(node, "variable") else [])
            nodes.extend(following for following, _ in node.next_functions)
    return found


@every_prior
def test_its_distribution_covers_the_thoughts_of_one_sequence(make):
    prior = make((2, 3, 4))
    assert isinstance(prior, AbstractPrior)
    assert prior.z_shape == (2, 3, 4)
    p = prior()
    assert p.batch_shape == ()
    assert p.event_shape == (2, 3, 4)
    assert p.support.event_dim == 3
    assert p.sample().shape == (2, 3, 4)
    assert p.sample((5,)).shape == (5, 2, 3, 4)
    assert p.log_prob(p.sample((5, 6))).shape == (5, 6)


@every_prior
def test_it_expands_over_particles_and_sequences(make):
    prior = moved(make((2, 1, 2)))

    def model():
        with pyro.plate("particles", 3, dim=-2), pyro.plate("sequences", 4, dim=-1):
            pyro.sample("z", prior())

    trace = poutine.trace(model).get_trace()
    trace.compute_log_prob()
    site = trace.nodes["z"]
    assert site["fn"].batch_shape == (3, 4)
    assert site["value"].shape == (3, 4, 2, 1, 2)
    assert len(site["value"].flatten().unique()) == 3 * 4 * 4  # no draw serves twice
    one_by_one = [prior().log_prob(z) for z in site["value"].flatten(0, 1)]
    torch.testing.assert_close(site["log_prob"], torch.stack(one_by_one).view(3, 4))
    same_everywhere = prior().expand((3, 4)).log_prob(site["value"][0, 0])
    torch.testing.assert_close(same_everywhere, one_by_one[0].expand(3, 4))


@every_prior
def test_its_samples_repeat_under_a_seed(make):
    prior, draws = make((1, 2, 2)), []
    for seed in (1, 1, 2):
        pyro.set_rng_seed(seed)
        draws.append(prior().sample((3,)))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("z_shape", [(1, 1, 1), (1, 1, 2), (2, 1, 1)], ids=str)
@every_prior
def test_its_samples_fall_as_its_density_says(make, z_shape):
    p = moved(make(z_shape))()
    assert_samples_fall_as_the_density_says(p, z_shape)
    with pytest.raises(AssertionError, match="chi-square"):
        assert_samples_fall_as_the_density_says(Widened(p), z_shape)


@every_prior
def test_its_samples_have_the_density_it_claims_in_more_dimensions(make):
    p = moved(make((2, 2, 2)))()
    z_test(bridge(p), 0.0)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(bridge(Widened(p)), 0.0)


def test_a_density_that_does_not_integrate_to_one_would_be_noticed():
    p = GaussianPrior((1, 1, 1)).double()()
    p.log_prob = lambda z: type(p).log_prob(p, z) + 0.01
    with pytest.raises(AssertionError):
        assert_samples_fall_as_the_density_says(p, (1, 1, 1))


@every_prior
def test_it_states_the_moments_of_its_samples_or_none(make):
    p = moved(make((2, 1, 2)))()
    try:
        mean, variance = p.mean, p.variance
    except NotImplementedError:
        return
    z = p.sample((20_000,))
    z_test(z, mean)
    z_test((z - mean) ** 2, variance)


@every_prior
def test_it_moves_as_a_module_does(make):
    prior = make((1, 1, 2))
    for dtype in (torch.float32, torch.float64, torch.float32):
        prior = prior.to(dtype)
        z = prior().sample((2,))
        assert z.dtype == dtype
        assert prior().log_prob(z).dtype == dtype


@every_prior
def test_float32_agrees_with_float64(make):
    prior = moved(make((2, 2, 2)))
    z = prior().sample((100,))
    exact = prior().log_prob(z).detach()
    torch.testing.assert_close(prior.float()().log_prob(z.float()).double(), exact, rtol=1e-4, atol=1e-3)


@every_prior
def test_mixed_precision_leaves_its_density_as_it_is(make):
    prior = moved(make((2, 2, 2))).float()
    z = prior().sample((5,))
    with torch.autocast("cpu", torch.bfloat16):
        nats = prior().log_prob(z)
    assert torch.equal(nats, prior().log_prob(z))


@every_prior
def test_the_gradient_of_its_density_reaches_z_and_its_parameters_and_nothing_else(make):
    prior = make((1, 2, 2))  # as it starts
    z = prior().sample((8,)).requires_grad_()
    log_density = prior().log_prob(z).sum()
    assert leaves(log_density) == {z, *prior.parameters()}
    gradients = torch.autograd.grad(log_density, [z, *prior.parameters()])
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients)


@every_named_prior
def test_its_samples_have_a_path_to_its_parameters_where_it_says_so(name):
    prior = moved(PRIORS[name]((1, 2, 2)))
    p = prior()
    assert p.has_rsample == (name not in SAMPLES_ONLY)
    assert not p.sample().requires_grad
    if p.has_rsample:
        assert leaves(p.rsample()) == set(prior.parameters())


@every_named_prior
def test_the_path_of_its_samples_is_the_right_one(name):
    """The gradient of a mean of z along the samples' path, and by the score: both are unbiased."""
    prior = moved(PRIORS[name]((2, 1, 1)))
    if name in SAMPLES_ONLY or not list(prior.parameters()):
        return
    parameters = list(prior.parameters())

    def slope(value):
        """The derivative of a value by all parameters at once, moved alike."""
        return sum(gradient.sum() for gradient in torch.autograd.grad(value, parameters))

    along, by_score = [], []
    for _ in range(100):
        z = prior().rsample((100,))
        along.append(slope(z.sin().sum((1, 2, 3)).mean()))
        z = prior().sample((100,))
        by_score.append(slope((z.sin().sum((1, 2, 3)) * prior().log_prob(z)).mean()))
    z_test(torch.stack(along) - torch.stack(by_score), 0.0)


@every_prior
def test_its_state_can_be_restored(make):
    prior = moved(make((1, 2, 2))).float()
    other = make((1, 2, 2))
    z = prior().sample((5,))
    if list(prior.parameters()):
        assert not torch.equal(prior().log_prob(z), other().log_prob(z))
    other.load_state_dict(prior.state_dict())
    assert torch.equal(prior().log_prob(z), other().log_prob(z))
    for p in (prior, other):
        pyro.set_rng_seed(0)
        z = torch.stack((z, p().sample((5,)))) if z.dim() == 4 else (z[1], p().sample((5,)))
    assert torch.equal(*z)


@every_prior
def test_it_says_what_it_is_and_changes_nothing_by_that(make):
    prior, state = make((1, 2, 2)), torch.get_rng_state()
    text = repr(prior)
    assert torch.equal(torch.get_rng_state(), state)
    assert text.startswith(type(prior).__name__)
    assert "z_shape=(1, 2, 2)" in text
    arguments = make.keywords if isinstance(make, partial) else {}
    assert all(f"{name}={value}" in text for name, value in arguments.items())


@every_prior
def test_a_learned_one_starts_close_to_the_standard_normal(make):
    prior = make((2, 2, 2))
    if not list(prior.parameters()):
        return
    z = torch.randn(2_000, 2, 2, 2)
    standard = GaussianPrior((2, 2, 2))()
    kl = (standard.log_prob(z) - prior().log_prob(z)).mean()
    assert (
        abs(kl) < 0.15
    )  # nats, over 8 dimensions; a scale that is a tenth off everywhere is 0.06 too wide, 0.1 narrow


@every_named_prior
def test_it_learns_with_the_model(name):
    decoder = Decoder(**SIZES)
    prior = PRIORS[name](decoder.z_shape)
    model, guide = LatentThoughtModel(prior, decoder), MeanFieldGuide(decoder.z_shape)
    svi = DualRateSVI(model, guide, FastLoop(ELBO(2), steps=3), SlowStep(ELBO(2), learning_rate=1e-2))
    before = [parameter.detach().clone() for parameter in prior.parameters()]
    x = torch.randint(decoder.vocabulary, (3, decoder.length))
    for _ in range(3):
        terms = svi.step(x)
        assert terms.elbo.isfinite().all()
        assert terms.kl_closed_form == (name in EXACT_KL)
    assert all(not torch.equal(old, new) for old, new in zip(before, prior.parameters(), strict=True))
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert model(batch_size=2).shape == (2, decoder.length)
    assert len(pyro.get_param_store()) == 0


@pytest.mark.parametrize("name", sorted(EXACT_KL))
def test_an_exact_kl_is_that_of_the_samples(name):
    p = moved(PRIORS[name]((1, 2, 2)))()
    q = dist.Normal(torch.randn(1, 2, 2).double(), torch.rand(1, 2, 2).double() + 0.5).to_event(3)
    z = q.sample((20_000,))
    exact = divergence(q, p, z[0])
    assert exact.closed_form
    z_test(q.log_prob(z) - p.log_prob(z), exact.total)


def test_the_gaussian_prior_is_the_normal_density():
    z = torch.randn(5, 2, 3, 4)
    expected = torch.distributions.Normal(0, 0.3).log_prob(z).sum((1, 2, 3))
    torch.testing.assert_close(GaussianPrior((2, 3, 4), sigma=0.3)().log_prob(z), expected)
    assert "sigma=0.3" in repr(GaussianPrior((2, 3, 4), sigma=0.3))


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(wrong):
    for make, argument in ((GaussianPrior, "sigma"), (LaplacePrior, "scale"), (StudentTPrior, "scale")):
        with pytest.raises(InputError, match=f"{argument}="):
            make((1, 1, 2), **{argument: wrong})
    with pytest.raises(InputError, match="df="):
        StudentTPrior((1, 1, 2), df=wrong)
