"""Every gradient estimator against the exact gradient, for every bound that it goes with.

The mean of an estimate is an integral over the S samples. With a Gaussian q in one dimension it is taken by
Gauss-Hermite quadrature, with a categorical q by running through all states: no chance, and ten digits.
A new estimator is one more entry in `GRADIENTS`, and a wrong copy of it in `BROKEN`.
"""

import math
from itertools import product

import pyro
import pyro.distributions as dist
import pytest
import torch
from toys import Drawn, z_test

from ltm_pyro import (
    ELBO,
    VIMCO,
    AbstractGradient,
    CategoricalGuide,
    ChiUpper,
    CombinedImportanceWeighted,
    Covariance,
    DoublyReparameterised,
    FixedNoise,
    ImportanceWeighted,
    InputError,
    Jackknife,
    KLWeighted,
    MeanFieldGuide,
    MultiplyImportanceWeighted,
    PartiallyImportanceWeighted,
    Renyi,
    Reparameterised,
    ReweightedWakeSleep,
    ScoreFunction,
    StickingTheLanding,
    Thermodynamic,
)
from ltm_pyro.bounds.gradients import Coefficients
from ltm_pyro.bounds.gradients.derivatives import curvature, slope
from ltm_pyro.models.exact import FiniteMixture, LinearGaussian

BOUNDS = {  # each with as few particles as it can have: the quadrature has as many dimensions
    "elbo": (ELBO, {}, 2),
    "importance weighted": (ImportanceWeighted, {}, 2),
    "renyi 0.5": (Renyi, {"alpha": 0.5}, 2),
    "renyi 3": (Renyi, {"alpha": 3.0}, 2),
    "renyi -1": (Renyi, {"alpha": -1.0}, 2),
    "thermodynamic": (Thermodynamic, {}, 2),
    "thermodynamic, right": (Thermodynamic, {"side": "right"}, 2),
    "jackknife": (Jackknife, {}, 3),
    "multiply importance weighted": (MultiplyImportanceWeighted, {"groups": 2}, 4),
    "partially importance weighted": (PartiallyImportanceWeighted, {"groups": 2}, 4),
    "combined importance weighted": (CombinedImportanceWeighted, {"elbo_weight": 0.3}, 2),
    "chi upper": (ChiUpper, {"order": 1.5}, 3),
    "kl weighted": (KLWeighted, {"kl_weight": 0.3}, 2),
}
GRADIENTS = {
    "reparameterised": Reparameterised(),
    "sticking the landing": StickingTheLanding(),
    "doubly reparameterised": DoublyReparameterised(),
    "score function": ScoreFunction(),
    "vimco": VIMCO(),
}


# ---- deliberately wrong copies


class WithoutScore(DoublyReparameterised):
    """Sticks the landing where the score term matters: under importance weights."""

    def coefficients(self, objective, log_w):
        return Coefficients(path=slope(objective.inference_value, log_w))


class LinearWeights(DoublyReparameterised):
    """The curvature with the wrong sign."""

    def coefficients(self, objective, log_w):
        value = objective.inference_value
        return Coefficients(path=slope(value, log_w) + curvature(value, log_w))


class WithScore(StickingTheLanding):
    """Keeps one half of the score term."""

    def coefficients(self, objective, log_w):
        first = slope(objective.value, log_w)
        return Coefficients(path=first, score=0.5 * (first - log_w * first))


class WithoutDirectTerm(VIMCO):
    """Forgets that q's density stands in the weights."""

    def coefficients(self, objective, log_w):
        score = super().coefficients(objective, log_w).score
        return Coefficients(score=score + slope(objective.inference_value, log_w))


class OwnBaseline(ScoreFunction):
    """A baseline that knows the particle itself."""

    def coefficients(self, objective, log_w):
        return Coefficients(score=log_w - log_w.mean(0) - slope(objective.value, log_w))


class MixedOverTheBatch(ScoreFunction):
    """A baseline from other sequences than its own."""

    def coefficients(self, objective, log_w):
        score = super().coefficients(objective, log_w).score
        return Coefficients(score=score + log_w.mean() - log_w.roll(1, 1))


class NoScoreAtAll(Reparameterised):
    """The path alone, taken for the whole."""

    def attach(self, objective, draws, estimate):
        return AbstractGradient.attach(self, objective, draws, estimate)

    def coefficients(self, objective, log_w):
        return Coefficients(path=slope(objective.inference_value, log_w))


BROKEN = {
    "reparameterised": (NoScoreAtAll(), "importance weighted"),
    "sticking the landing": (WithScore(), "elbo"),
    "doubly reparameterised": (WithoutScore(), "importance weighted"),
    "doubly reparameterised, renyi": (LinearWeights(), "renyi 0.5"),
    "score function": (OwnBaseline(), "importance weighted"),
    "vimco": (WithoutDirectTerm(), "importance weighted"),
}


def made(name, gradient, particles):
    make, options, _ = BOUNDS[name]
    return make(particles=particles, gradient=gradient, **options)


def particles_for(name, gradient):
    """As few as the pair takes (a baseline may need one more than the bound does); None if it is refused."""
    least = BOUNDS[name][2]
    for particles in (least, least + 1):
        try:
            made(name, gradient, particles)
        except InputError:
            continue
        return particles
    return None


PAIRS = {
    f"{bound}, {name}": (bound, gradient)
    for bound in BOUNDS
    for name, gradient in GRADIENTS.items()
    if particles_for(bound, gradient)
}
every_pair = pytest.mark.parametrize(("name", "gradient"), PAIRS.values(), ids=PAIRS.keys())
DISCRETE = {key: pair for key, pair in PAIRS.items() if pair[1].cuts and pair[0] != "kl weighted"}
every_discrete_pair = pytest.mark.parametrize(("name", "gradient"), DISCRETE.values(), ids=DISCRETE.keys())


# ---- the exact gradient of a Gaussian q, by quadrature


class Line:
    """One text and one thought of one dimension, q = N(mu, sigma²), and a grid of its samples' noise.

    The grid is the batch: row n holds the S samples of one point, and its weight.
    """

    def __init__(self, particles):
        self.toy = LinearGaussian(z_shape=(1, 1, 1), observed=2, noise=0.9, batch=1)
        mean, sigma = self.toy.best_mean_field(self.toy.x)
        self.mu, self.log_sigma = mean.flatten() + 0.15, (0.85 * sigma).log().flatten()
        nodes, weights = _gauss_hermite({1: 80, 2: 60, 3: 34, 4: 22, 5: 14}[particles])
        grid = torch.tensor(list(product(range(len(nodes)), repeat=particles)))
        self.noise, self.weights = nodes[grid].T, weights[grid].prod(-1)  # (S, N), (N,)

    def leaves(self):
        return self.mu.clone().requires_grad_(), self.log_sigma.clone().requires_grad_()

    def estimate(self, bound):
        """The mean of the estimated gradients, by mu, log sigma and the model's weights."""
        mu, log_sigma = self.leaves()
        rows = self.noise.shape[1]
        z = (mu + log_sigma.exp() * self.noise).view(-1, rows, 1, 1, 1)
        guide = Told(mu.expand(rows).view(rows, 1, 1, 1), log_sigma.exp().expand(rows).view(rows, 1, 1, 1), z)
        terms = bound.terms(self.toy, guide, self.toy.x.expand(rows, -1))
        return torch.autograd.grad((self.weights * terms.objective).sum(), [mu, log_sigma, *self.toy.parameters()])

    def exact(self, bound):
        """The gradient of the mean, from densities written out by hand."""
        mu, log_sigma = self.leaves()
        z = mu + log_sigma.exp() * self.noise
        means = z[..., None] * self.toy.weight.flatten() + self.toy.bias
        log_joint = dist.Normal(means, self.toy.noise).log_prob(self.toy.x[0]).sum(-1)
        weight = getattr(bound, "kl_weight", 1.0)
        prior, q = dist.Normal(0.0, 1.0).log_prob(z), dist.Normal(mu, log_sigma.exp()).log_prob(z)
        log_w = log_joint + weight * (prior - q)
        sign = -1 if bound.claim.is_upper else 1
        values = [sign * (self.weights * value(log_w)).sum() for value in (bound.inference_value, bound.value)]
        local = torch.autograd.grad(values[0], [mu, log_sigma], retain_graph=True)
        return *local, *torch.autograd.grad(values[1], list(self.toy.parameters()))


class Told(torch.nn.Module):
    """A diagonal Gaussian that "draws" what it is told to, cut from its parameters only by whoever asks."""

    def __init__(self, mu, sigma, z):
        super().__init__()
        self.mu, self.sigma, self.z = mu, sigma, z

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        with pyro.plate("sequences", len(self.mu), dim=-1):
            return pyro.sample("z", Drawn(self.mu, self.sigma, self.z).to_event(3))


def _gauss_hermite(count):
    """Nodes and weights for the mean under N(0, 1) (Golub and Welsch, 1969)."""
    beside = torch.arange(1, count, dtype=torch.float64).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return values, vectors[0] ** 2


def agree(estimated, exact, rtol=1e-6):
    return all(torch.allclose(a, b, rtol=rtol, atol=rtol) for a, b in zip(estimated, exact, strict=True))


@every_pair
def test_the_mean_estimate_is_the_exact_gradient_of_gamma_and_theta(name, gradient):
    particles = particles_for(name, gradient)
    line, bound = Line(particles), made(name, gradient, particles)
    estimated, exact = line.estimate(bound), line.exact(bound)
    for a, b in zip(estimated, exact, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("gradient", "name"), BROKEN.values(), ids=BROKEN.keys())
def test_a_wrong_copy_of_each_is_rejected_by_the_same_comparison(gradient, name):
    right = next(right for right in GRADIENTS.values() if isinstance(gradient, type(right)))
    particles = particles_for(name, right)
    line = Line(particles)
    assert agree(line.estimate(made(name, right, particles)), line.exact(made(name, right, particles)))
    assert not agree(line.estimate(made(name, gradient, particles)), line.exact(made(name, right, particles)), 1e-3)


# ---- the exact gradient of a categorical q, by running through all states


class States:
    """One text, two thoughts of three kinds, q categorical; the batch runs through all S-tuples of states."""

    def __init__(self, particles):
        self.mixture = FiniteMixture(z_shape=(1, 2, 3), batch=1)
        states = self.mixture.states()  # (9, 1, 2, 3)
        tuples = torch.tensor(list(product(range(len(states)), repeat=particles)))
        self.z = states[tuples].transpose(0, 1)  # (S, N, 1, 2, 3)
        self.logits = 0.5 * torch.randn(1, 2, 3, dtype=torch.float64)

    def estimate(self, bound):
        logits, rows = self.logits.clone().requires_grad_(), self.z.shape[1]
        terms = bound.terms(
            self.mixture, Choosing(logits.expand(rows, 1, 2, 3), self.z), self.mixture.x.expand(rows, -1)
        )
        weights = self.log_q(self.logits).sum(0).exp()
        return torch.autograd.grad((weights * terms.objective).sum(), [logits, *self.mixture.parameters()])

    def exact(self, bound):
        logits = self.logits.clone().requires_grad_()
        log_q = self.log_q(logits)
        log_w = self.mixture.prior().log_prob(self.z) + self.mixture.likelihood(self.z).log_prob(self.mixture.x) - log_q
        chances = log_q.sum(0).exp()
        sign = -1 if bound.claim.is_upper else 1
        means = [sign * (chances * value(log_w)).sum() for value in (bound.inference_value, bound.value)]
        local = torch.autograd.grad(means[0], [logits], retain_graph=True)
        return *local, *torch.autograd.grad(means[1], list(self.mixture.parameters()))

    def log_q(self, logits):
        return dist.OneHotCategorical(logits=logits).to_event(2).log_prob(self.z)


class Choosing(torch.nn.Module):
    """A categorical guide that "draws" what it is told to."""

    def __init__(self, logits, z):
        super().__init__()
        self.logits, self.z = logits, z

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        with pyro.plate("sequences", len(self.logits), dim=-1):
            return pyro.sample("z", Chosen(self.logits, self.z).to_event(2))


class Chosen(dist.OneHotCategorical):
    def __init__(self, logits, z):
        super().__init__(logits=logits.expand_as(z))
        self.z = z

    def expand(self, batch_shape, _instance=None):
        return Chosen(self.logits.expand(*batch_shape, -1), self.z.expand(*batch_shape, -1))

    def sample(self, sample_shape=()):
        return self.z


@every_discrete_pair
def test_with_discrete_thoughts_too(name, gradient):
    particles = particles_for(name, gradient)
    states, bound = States(particles), made(name, gradient, particles)
    for a, b in zip(states.estimate(bound), states.exact(bound), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("gradient", "right"),
    [(OwnBaseline(), ScoreFunction()), (WithoutDirectTerm(), VIMCO()), (MixedOverTheBatch(), ScoreFunction())],
)
def test_and_wrong_copies_are_rejected_there_too(gradient, right):
    states = States(3)
    exact = states.exact(ImportanceWeighted(3))
    assert agree(states.estimate(ImportanceWeighted(3, gradient=right)), exact)
    assert not agree(states.estimate(ImportanceWeighted(3, gradient=gradient)), exact, 1e-3)


# ---- with samples as they are drawn in use


@every_pair
def test_estimates_from_fresh_samples_have_the_exact_gradient_as_their_mean(name, gradient):
    particles, rows = particles_for(name, gradient), 8000
    line = Line(particles)
    bound = made(name, gradient, particles)
    guide = MeanFieldGuide(line.toy.z_shape)
    guide.start(line.toy.x.expand(rows, -1), prior=line.toy.prior())
    guide.mu = line.mu.expand(rows).view(-1, 1, 1, 1).clone().requires_grad_()
    guide.log_sigma = line.log_sigma.expand(rows).view(-1, 1, 1, 1).clone().requires_grad_()
    objective = bound.terms(line.toy, guide, line.toy.x.expand(rows, -1)).objective
    estimates = torch.autograd.grad(objective.sum(), guide.local_parameters())
    z_test(torch.cat([estimate.flatten(1) for estimate in estimates], 1), torch.cat(line.exact(bound)[:2]))


def test_a_gradient_with_noise_that_is_used_again_is_found_out():
    """With one draw for all rows their scatter is no measure of anything: the mean is that of a single sample."""
    rows, line = 500, Line(2)
    guide = MeanFieldGuide(line.toy.z_shape)
    text = line.toy.x

    def estimates(bound):
        means = []
        for _ in range(rows):
            guide.start(text, prior=line.toy.prior())
            guide.mu = line.mu.view(1, 1, 1, 1).clone().requires_grad_()
            guide.log_sigma = line.log_sigma.view(1, 1, 1, 1).clone().requires_grad_()
            objective = bound.terms(line.toy, guide, text).objective.sum()
            means.append(torch.cat([g.flatten() for g in torch.autograd.grad(objective, guide.local_parameters())]))
        return torch.stack(means) + 1e-9 * torch.randn(rows, 2, dtype=torch.float64)

    exact = torch.cat(line.exact(ImportanceWeighted(2))[:2])
    z_test(estimates(ImportanceWeighted(2)), exact)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(estimates(FixedNoise(ImportanceWeighted(2))), exact)


# ---- what each is known for


def at_the_posterior(rows=200):
    """A mean-field guide that is the exact posterior of a one-dimensional model, many times over."""
    toy = LinearGaussian(z_shape=(1, 1, 1), batch=1)
    mu, sigma = toy.best_mean_field(toy.x)
    guide = MeanFieldGuide(toy.z_shape)
    x = toy.x.expand(rows, -1)
    guide.start(x, prior=toy.prior())
    guide.mu = mu.expand(rows, 1, 1, 1).clone().requires_grad_()
    guide.log_sigma = sigma.log().expand(rows, 1, 1, 1).clone().requires_grad_()
    return toy, guide, x


def spread(bound):
    toy, guide, x = at_the_posterior()
    rows = torch.autograd.grad(bound.terms(toy, guide, x).objective.sum(), guide.local_parameters())
    return max(row.std(0).max().item() for row in rows)


@pytest.mark.parametrize(
    "bound",
    [
        ELBO(1, gradient=StickingTheLanding()),
        ELBO(4, gradient=StickingTheLanding()),
        ImportanceWeighted(4, gradient=DoublyReparameterised()),
        Renyi(0.5, 4, gradient=DoublyReparameterised()),
        Thermodynamic(4, gradient=DoublyReparameterised()),
        ELBO(4, gradient=ScoreFunction()),
        ImportanceWeighted(4, gradient=ScoreFunction()),
        ImportanceWeighted(4, gradient=ReweightedWakeSleep(doubly=True)),
    ],
    ids=repr,
)
def test_the_variance_is_zero_at_the_exact_posterior(bound):
    assert spread(bound) < 1e-7


@pytest.mark.parametrize(
    "bound",
    [
        ELBO(4, closed_form_kl=False, gradient=Reparameterised()),
        ELBO(4, gradient=Reparameterised()),
        ImportanceWeighted(4),
    ],
    ids=repr,
)
def test_that_of_the_reparameterised_gradient_is_not(bound):
    assert spread(bound) > 0.1


def signal_to_noise(gradient, particles, rows=20000):
    """|mean| / standard deviation of the gradient by mu, near the posterior of one fixed text.

    The square of a mean of N is too large by the variance over N, which is taken off.
    """
    toy = LinearGaussian(z_shape=(1, 1, 1), observed=2, noise=1.0, batch=1)
    with torch.no_grad():
        toy.weight.copy_(torch.tensor([[1.0], [0.5]]))
        toy.bias.zero_()
    x = torch.tensor([[1.0, -1.0]], dtype=torch.float64).expand(rows, -1)
    mu, sigma = toy.best_mean_field(x)
    guide = MeanFieldGuide(toy.z_shape)
    guide.start(x, prior=toy.prior())
    guide.mu, guide.log_sigma = (mu + 0.5).requires_grad_(), (1.2 * sigma).log()
    objective = ImportanceWeighted(particles, gradient=gradient).terms(toy, guide, x).objective.sum()
    by_mu = torch.autograd.grad(objective, guide.mu)[0]
    return (by_mu.mean().square() / by_mu.var() - 1 / rows).sqrt().item()


def slope_over_particles(gradient):
    """Of log signal-to-noise by log S, by least squares."""
    sizes = [4, 8, 16, 32, 64]
    logs = torch.tensor([math.log(signal_to_noise(gradient, size)) for size in sizes])
    x = torch.tensor(sizes).log() - torch.tensor(sizes).log().mean()
    return ((x * logs).sum() / x.square().sum()).item()


def test_dregs_signal_grows_with_the_particles_and_iwaes_drowns(record_property):
    """Theory: +1/2 and -1/2 (Rainforth et al., 2018, theorem 1; Tucker et al., 2019, section 6)."""
    doubly, plain = slope_over_particles(DoublyReparameterised()), slope_over_particles(Reparameterised())
    record_property("slopes", f"DReG {doubly:+.2f}, IWAE {plain:+.2f}")
    assert 0.4 < doubly < 0.6
    assert -0.6 < plain < -0.4


def test_the_doubly_reparameterised_weights_are_those_of_the_paper():
    log_w = torch.randn(5, 3, dtype=torch.float64)
    weights, halves = log_w.softmax(0), (0.5 * log_w).softmax(0)
    doubly = DoublyReparameterised()
    close = {"rtol": 1e-10, "atol": 1e-12}
    torch.testing.assert_close(doubly.coefficients(ImportanceWeighted(5), log_w).path, weights**2, **close)
    torch.testing.assert_close(doubly.coefficients(Renyi(0.5, 5), log_w).path, 0.5 * halves + 0.5 * halves**2, **close)


def test_leave_one_out_for_the_elbo_is_the_log_weight_less_the_others_mean():
    log_w = torch.randn(5, 3, dtype=torch.float64)
    others = (log_w.sum(0) - log_w) / 4
    torch.testing.assert_close(ScoreFunction().coefficients(ELBO(5), log_w).score, (log_w - others) / 5)


def test_vimcos_signal_by_hand():
    log_w = torch.randn(4, 2, dtype=torch.float64)
    score = VIMCO().coefficients(ImportanceWeighted(4), log_w).score
    for s in range(4):
        others = torch.cat([log_w[:s], log_w[s + 1 :]])
        replaced = torch.cat([others, others.mean(0, keepdim=True)])
        expected = (log_w.exp().mean(0).log() - replaced.exp().mean(0).log()) - log_w.softmax(0)[s]
        torch.testing.assert_close(score[s], expected)


# ---- the estimators that follow something else


def test_the_covariance_estimator_on_the_same_draws_by_hand():
    """Masrani et al., 2019, equation 9: Σ Δβ { E[∇ log w] + Cov(log w, ∇ log of the tempered density) }."""
    line = Line(3)
    bound = Thermodynamic(3, gradient=Covariance())
    estimated = line.estimate(bound)[:2]
    mu, log_sigma = line.leaves()
    z = (line.mu + line.log_sigma.exp() * line.noise).detach()
    means = z[..., None] * line.toy.weight.detach().flatten() + line.toy.bias.detach()
    log_p = dist.Normal(means, line.toy.noise).log_prob(line.toy.x[0]).sum(-1) + dist.Normal(0.0, 1.0).log_prob(z)
    log_q = dist.Normal(mu, log_sigma.exp()).log_prob(z)
    log_w, fixed = log_p - log_q, (log_p - log_q).detach()
    total = 0.0
    for low, high in zip(bound.points, bound.points[1:], strict=False):
        weights = (low * fixed).softmax(0)
        mean = (weights * fixed).sum(0)
        tempered = low * log_p + (1 - low) * log_q
        total = total + (high - low) * ((weights * log_w).sum(0) + (weights * (fixed - mean) * tempered).sum(0))
    expected = torch.autograd.grad((line.weights * total).sum(), [mu, log_sigma])
    for a, b in zip(estimated, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_the_covariance_estimator_tends_to_the_gradient_of_the_infinite_objective():
    states = States(1)
    logits = states.logits.clone().requires_grad_()
    log_q = states.log_q(logits)[0]
    log_w = (
        states.mixture.prior().log_prob(states.z[0])
        + states.mixture.likelihood(states.z[0]).log_prob(states.mixture.x)
        - log_q
    )
    points = Thermodynamic().points
    tempered = [(log_q + beta * log_w).softmax(0) for beta in points[:-1]]
    exact = sum((high - low) * (t * log_w).sum() for low, high, t in zip(points, points[1:], tempered, strict=False))
    expected = torch.autograd.grad(exact.sum(), logits)[0].flatten()

    def off(particles, rows=400):
        guide, x = CategoricalGuide((1, 2, 3)), states.mixture.x.expand(rows, -1)
        guide.start(x)
        guide.logits = states.logits.expand(rows, 1, 2, 3).clone().requires_grad_()
        bound = Thermodynamic(particles, gradient=Covariance())
        rows_of = torch.autograd.grad(bound.terms(states.mixture, guide, x).objective.sum(), guide.logits)[0].flatten(1)
        return rows_of.detach()

    z_test(off(1000), expected)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(off(2, rows=20000), expected)  # self-normalised: biased where the particles are few


@pytest.mark.parametrize("doubly", [False, True])
def test_the_wake_phase_descends_the_other_kl(doubly):
    """∇ KL(p(z|x) || q) in closed form: -(m - mu) / sigma² and 1 - ((m - mu)² + s²) / sigma²."""
    line, rows = Line(1), 600
    guide = MeanFieldGuide(line.toy.z_shape)
    x = line.toy.x.expand(rows, -1)
    guide.start(x, prior=line.toy.prior())
    guide.mu = line.mu.expand(rows).view(-1, 1, 1, 1).clone().requires_grad_()
    guide.log_sigma = line.log_sigma.expand(rows).view(-1, 1, 1, 1).clone().requires_grad_()
    bound = ImportanceWeighted(1000, gradient=ReweightedWakeSleep(doubly=doubly))
    grads = torch.autograd.grad(bound.terms(line.toy, guide, x).objective.sum(), guide.local_parameters())
    m, s = (value.flatten() for value in line.toy.best_mean_field(line.toy.x))
    variance = (2 * line.log_sigma).exp()
    z_test(grads[0].flatten(1), (m - line.mu) / variance)
    z_test(grads[1].flatten(1), ((m - line.mu) ** 2 + s**2) / variance - 1)


class Amortised(torch.nn.Module):
    """q(z | x) = N(a·x + c, exp(d)²), which has the posterior of a `Line` among its members."""

    def __init__(self, toy):
        super().__init__()
        precision = toy.precision().item()
        self.a = torch.nn.Parameter((toy.weight.T / toy.noise**2 / precision).flatten().detach())
        self.c = torch.nn.Parameter(-(self.a.detach() * toy.bias.detach()).sum())
        self.d = torch.nn.Parameter(torch.tensor(-0.5 * math.log(precision), dtype=torch.float64))

    def local_parameters(self):
        return []

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        mean = (x * self.a).sum(-1).view(-1, 1, 1, 1) + self.c
        with pyro.plate("sequences", len(x), dim=-1):
            return pyro.sample("z", dist.Normal(mean, self.d.exp()).to_event(3))


def sleep_gradients(guide, toy, rows=300):
    bound = ImportanceWeighted(2, gradient=ReweightedWakeSleep(wake=0.0, sleep=1.0))
    x, parameters, found = toy.x.expand(50, -1), list(guide.parameters()), []
    for _ in range(rows):
        objective = bound.terms(toy, guide, x).objective.sum()
        found.append(torch.stack([gradient.sum() for gradient in torch.autograd.grad(objective, parameters)]))
    return torch.stack(found)


def test_the_sleep_phase_rests_at_the_exact_posterior_and_nowhere_else():
    toy = LinearGaussian(z_shape=(1, 1, 1), observed=2, batch=1)
    guide = Amortised(toy)
    z_test(sleep_gradients(guide, toy), torch.zeros(3, dtype=torch.float64))
    with torch.no_grad():
        guide.c.add_(0.2)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(sleep_gradients(guide, toy), torch.zeros(3, dtype=torch.float64))


def test_the_sleep_phase_refuses_local_parameters(tiny):
    bound = ImportanceWeighted(2, gradient=ReweightedWakeSleep(sleep=1.0))
    with pytest.raises(InputError, match="MeanFieldGuide has local parameters"):
        bound.terms(tiny.model, tiny.guide, tiny.x)


# ---- pairs that make no sense


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: ImportanceWeighted(4, gradient=StickingTheLanding()), "biased; take DoublyReparameterised"),
        (lambda: ELBO(4, gradient=DoublyReparameterised()), "StickingTheLanding"),
        (lambda: ELBO(4, gradient=VIMCO()), "ScoreFunction"),
        (lambda: ImportanceWeighted(1, gradient=VIMCO()), "2 or more"),
        (lambda: ELBO(1, gradient=ScoreFunction()), "more than particles=1"),
        (lambda: MultiplyImportanceWeighted(4, 2, gradient=ScoreFunction()), "VIMCO"),
        (lambda: ImportanceWeighted(4, gradient=Covariance()), "Thermodynamic"),
        (lambda: ELBO(4, gradient=ReweightedWakeSleep()), "ImportanceWeighted"),
        (lambda: ReweightedWakeSleep(0.0, 0.0), "not both zero"),
    ],
)
def test_pairs_that_make_no_sense_are_refused_with_the_reason(make, reason):
    with pytest.raises(InputError, match=reason):
        make()


def test_a_guide_that_cannot_be_reparameterised_is_refused_with_the_remedy():
    states = States(1)
    guide = CategoricalGuide((1, 2, 3))
    guide.start(states.mixture.x, prior=states.mixture.prior())
    with pytest.raises(InputError, match=r"gradient=ScoreFunction\(\)"):
        ImportanceWeighted(4).terms(states.mixture, guide, states.mixture.x)
    terms = ImportanceWeighted(4, gradient=VIMCO()).terms(states.mixture, guide, states.mixture.x)
    assert torch.autograd.grad(terms.objective.sum(), guide.logits)[0].abs().max() > 0


# ---- particles in several passes


@every_pair
@pytest.mark.parametrize("at_once", [1, 2])
def test_particles_a_few_at_a_time_give_the_same_values_and_gradients(name, gradient, at_once, tiny):
    found = []
    for few in (None, at_once):
        bound = made(name, gradient, 4)
        bound.at_once = few
        pyro.set_rng_seed(3)
        terms = bound.terms(tiny.model, tiny.guide, tiny.x)
        learned = [*tiny.guide.local_parameters(), *tiny.model.parameters()]
        found.append((terms, torch.autograd.grad(terms.objective.sum(), learned)))
    (whole, gradients), (parts, others) = found
    for field in ("objective", "log_likelihood", "kl", "kl_per_layer"):
        torch.testing.assert_close(getattr(parts, field), getattr(whole, field), rtol=1e-12, atol=1e-12)
    for a, b in zip(others, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_fewer_particles_at_once_keep_fewer_activations(tiny):
    def saved(at_once):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            ImportanceWeighted(8, at_once=at_once).terms(tiny.model, tiny.guide, tiny.x)
        return sum(sizes)

    assert saved(2) < 0.5 * saved(None)
