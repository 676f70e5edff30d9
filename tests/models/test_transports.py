"""The decoder reads T(z0): the identity at the start, a part of the likelihood after it."""

import math

import pyro
import pytest
import torch
from pyro import poutine
from toys import FixedGuide, decoder_with, large_weights, z_test

from ltm_pyro import (
    ELBO,
    AbstractDecoder,
    AbstractPrior,
    AbstractTransport,
    CategoricalGuide,
    ChiUpper,
    Claim,
    CodebookPrior,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    LatentThoughtModel,
    MeanFieldGuide,
    MLPTransport,
    NaturalGradient,
    Renyi,
    Thermodynamic,
    TokenSequence,
    TransformerTransport,
)
from ltm_pyro.generation import write
from ltm_pyro.testing.priors import scattered

TIGHT = {"atol": 1e-10, "rtol": 0}
TRANSPORTS = {
    "mlp": lambda *shapes: MLPTransport(*shapes, hidden=6),
    "transformer": lambda *shapes: TransformerTransport(*shapes, heads=1),
}
every_transport = pytest.mark.parametrize("make", TRANSPORTS.values(), ids=TRANSPORTS.keys())


def with_transport(tiny, transport):
    return LatentThoughtModel(tiny.model.prior, tiny.decoder, transport.double())


def elbo_and_slopes(model, tiny, bound=None):
    rows = tiny.guide.local_parameters()
    pyro.set_rng_seed(1)
    terms = (bound or ELBO()).terms(model, tiny.guide, tiny.x)
    return terms.bound, *torch.autograd.grad(terms.bound.sum(), rows)


# ---- at the start


@every_transport
@pytest.mark.parametrize("bound", [ELBO(2), ImportanceWeighted(2)], ids=["elbo", "importance weighted"])
@pytest.mark.parametrize("held", [False, True], ids=["learning", "held"])
def test_at_its_start_bounds_and_slopes_of_q_are_those_without_it_to_the_bit(make, bound, held, tiny):
    model = with_transport(tiny, make(tiny.decoder.z_shape)).requires_grad_(not held)
    for found, expected in zip(
        elbo_and_slopes(model, tiny, bound), elbo_and_slopes(tiny.model, tiny, bound), strict=True
    ):
        assert torch.equal(found, expected)
    with torch.no_grad():
        large_weights(model.transport)
    assert (elbo_and_slopes(model, tiny, bound)[0] - elbo_and_slopes(tiny.model, tiny, bound)[0]).abs().min() > 1e-3


@every_transport
def test_between_widths_it_starts_as_a_linear_map_that_keeps_unit_variance(make):
    transport = make((2, 3, 50), (2, 3, 16))
    z = torch.randn(500, 2, 3, 50)
    assert torch.equal(transport(z), transport.carry(z))
    assert 0.8 < transport(z).std() < 1.2


@every_transport
def test_every_weight_learns_and_every_vector_reaches_every_thought(make):
    transport = large_weights(make((2, 3, 4)))
    z = torch.randn(5, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    thoughts = transport(z)
    slopes = torch.autograd.grad(thoughts.square().sum(), list(transport.parameters()), retain_graph=True)
    assert all(slope.abs().max() > 0 for slope in slopes)
    (reached,) = torch.autograd.grad(thoughts[:, 0, 0].sum(), z)
    assert (reached.abs().sum((0, -1)) > 0).all()


# ---- a part of the likelihood


@every_transport
def test_the_joint_density_is_that_of_z0_and_of_the_text_given_its_thoughts(make, tiny):
    model = with_transport(tiny, large_weights(make(tiny.decoder.z_shape)))
    trace = poutine.trace(pyro.condition(model, {"z": tiny.z})).get_trace(tiny.x)
    trace.compute_log_prob()
    log_prior = -0.5 * (tiny.z**2 + math.log(2 * math.pi)).sum((1, 2, 3))
    torch.testing.assert_close(trace.nodes["z"]["log_prob"], log_prior, **TIGHT)
    expected = TokenSequence(tiny.decoder, model.transport(tiny.z)).log_prob(tiny.x)
    torch.testing.assert_close(trace.nodes["x"]["log_prob"], expected, **TIGHT)


@every_transport
def test_texts_are_written_from_the_transported_thoughts(make, tiny):
    model = with_transport(tiny, large_weights(make(tiny.decoder.z_shape)))
    first = torch.randint(30, (3, 4))

    def written(model, z):
        torch.manual_seed(3)
        return torch.stack(list(write(model, z, first, 8)))

    found = written(model, tiny.z)
    assert torch.equal(found, written(tiny.model, model.transport(tiny.z).detach()))
    assert not torch.equal(found, written(tiny.model, tiny.z))
    assert model(batch_size=4).shape == (4, 20)


SIZES = {"vocabulary": 3, "width": 2, "layers": 1, "heads": 1, "thoughts": 1, "window": 3, "length": 3}
X = torch.tensor([[2, 0, 1]])


class Planar:
    """A model with z0 of two numbers, whose evidence is a sum over a grid, and a guide beside its posterior."""

    def __init__(self, make):
        self.decoder = decoder_with(**SIZES, bos_id=0)
        transport = scattered(make(self.decoder.z_shape))
        self.model = LatentThoughtModel(GaussianPrior(self.decoder.z_shape).double(), self.decoder, transport)
        axis = torch.linspace(-7, 7, 141, dtype=torch.float64)
        self.grid = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 1, 2)  # (S, B, L, K, D)
        self.cell = 0.01
        mu, sigma = torch.tensor([0.3, -0.2]).double(), torch.tensor([0.8, 1.1]).double()
        self.mu, self.sigma = mu, sigma

    @torch.no_grad()
    def mean(self, mu, sigma, function):
        """The mean of a function of z0 under a diagonal Gaussian."""
        density = torch.distributions.Normal(mu, sigma).log_prob(self.grid).sum((-3, -2, -1)).exp()  # (S, 1)
        return (density * function(self.grid)).sum() * self.cell

    def log_likelihood(self, z):
        return TokenSequence(self.decoder, self.model.thoughts(z)).log_prob(X)

    def evidence(self):
        return self.mean(torch.zeros(2).double(), torch.ones(2).double(), lambda z: self.log_likelihood(z).exp()).log()

    def kl(self):
        return (0.5 * (self.mu**2 + self.sigma**2 - 1) - self.sigma.log()).sum()

    def elbo(self):
        return self.mean(self.mu, self.sigma, self.log_likelihood) - self.kl()

    def guide(self, copies):
        shape = (copies, 1, 1, 2)
        return FixedGuide(self.mu.expand(shape), self.sigma.expand(shape))

    @torch.no_grad()
    def values(self, bound, copies=2000, model=None):
        """Independent estimates by a bound of the one text's log-evidence."""
        return bound.terms(model or self.model, self.guide(copies), X.expand(copies, -1))


class WithoutJacobian(AbstractPrior):
    """Deliberately wrong: the density of thoughts T(z0) under N(0, I), as a density of z0, without the Jacobian."""

    def __init__(self, prior, transport):
        super().__init__(prior.z_shape)
        self.prior, self.transport = prior, transport

    def forward(self):
        outer = self

        class Wrong(type(self.prior().base_dist)):
            def expand(self, batch_shape, _instance=None):
                return Wrong(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

            def log_prob(self, z):
                return super().log_prob(outer.transport(z))

        return Wrong(self.prior.mu, self.prior.sigma).expand(self.z_shape).to_event(3)


@every_transport
def test_the_elbo_has_its_exact_mean_and_a_kl_in_closed_form(make):
    planar = Planar(make)
    terms = planar.values(ELBO())
    assert terms.kl_closed_form
    torch.testing.assert_close(terms.kl, planar.kl().expand(2000), **TIGHT)
    z_test(terms.bound, planar.elbo())
    assert planar.elbo() < planar.evidence() - 0.01
    moved = LatentThoughtModel(planar.model.prior, planar.decoder)  # wrong: the decoder reads z0 itself
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(planar.values(ELBO(), model=moved).bound, planar.elbo())


BOUNDS = {
    "elbo": ELBO(2, closed_form_kl=False),
    "importance weighted": ImportanceWeighted(4),
    "renyi": Renyi(0.5, 4),
    "thermodynamic": Thermodynamic(4),
    "chi upper": ChiUpper(4, 1.2),
}
every_bound = pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS.keys())


def assert_on_its_side(bound, values, evidence):
    gap = values - evidence if bound.claim is Claim.UPPER else evidence - values
    assert gap.mean() > -4 * gap.std() / len(gap) ** 0.5, "on the other side of log p(x)"


@every_transport
@every_bound
def test_every_bound_is_on_the_side_that_it_claims(make, bound):
    planar = Planar(make)
    assert_on_its_side(bound, planar.values(bound, 1000).bound, planar.evidence())


class Scaled(AbstractTransport):
    """A multiple of z0."""

    def __init__(self, z_shape, thought_shape=None, scale=1.0):
        super().__init__(z_shape, thought_shape)
        self.scale = scale

    def forward(self, z):
        return self.scale * z


@every_transport
def test_importance_weights_have_the_evidence_as_their_mean(make):
    planar = Planar(make)
    z_test(planar.values(ImportanceWeighted(2)).bound.exp(), planar.evidence().exp())


def without_jacobian(planar):
    prior = WithoutJacobian(planar.model.prior, planar.model.transport)
    return LatentThoughtModel(prior, planar.decoder, planar.model.transport)


def test_without_the_jacobian_they_have_not():
    planar = Planar(lambda z_shape: Scaled(z_shape, scale=0.25))
    bound = ImportanceWeighted(2)
    z_test(planar.values(bound).bound.exp(), planar.evidence().exp())
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(planar.values(bound, model=without_jacobian(planar)).bound.exp(), planar.evidence().exp())


@every_bound
def test_without_the_jacobian_it_is_on_the_other_side(bound):
    planar = Planar(lambda z_shape: Scaled(z_shape, scale=1.5 if bound.claim is Claim.UPPER else 0.25))
    assert_on_its_side(bound, planar.values(bound, 1000).bound, planar.evidence())
    wrong = planar.values(bound, 1000, without_jacobian(planar)).bound
    with pytest.raises(AssertionError, match="on the other side"):
        assert_on_its_side(bound, wrong, planar.evidence())


class Composed(AbstractDecoder):
    """A decoder that has a function of z of its own before another decoder."""

    def __init__(self, decoder, function):
        super().__init__(decoder.z_shape, decoder.vocabulary, decoder.length, decoder.bos_id)
        self.decoder, self.function = decoder, function

    def features(self, tokens, z=None):
        return self.decoder.features(tokens, self.function(z))

    def unembed(self, h):
        return self.decoder.unembed(h)


@every_transport
def test_natural_gradients_are_those_of_a_decoder_with_the_same_function_of_z(make, tiny):
    transport = large_weights(make(tiny.decoder.z_shape))
    prior = tiny.model.prior

    def fitted(model):
        guide = MeanFieldGuide(prior.z_shape)
        torch.manual_seed(2)
        FastLoop(ELBO(2), steps=3, learning_rate=0.3, optimizer=NaturalGradient).fit(model, guide, tiny.x)
        return guide.mu.detach(), guide.log_sigma.detach()

    found = fitted(LatentThoughtModel(prior, tiny.decoder, transport))
    composed = LatentThoughtModel(prior, Composed(tiny.decoder, transport).double())
    for one, other in zip(found, fitted(composed), strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)
    assert (found[0] - fitted(tiny.model)[0]).abs().max() > 1e-3  # wrong: without the function


# ---- codes


@every_transport
def test_codes_go_through_the_codebook_first(make):
    decoder = decoder_with(**SIZES, bos_id=0)
    prior = CodebookPrior(decoder.z_shape, codes=5)
    transport = make(decoder.z_shape)
    torch.manual_seed(0)
    model = LatentThoughtModel(prior, decoder, transport).double()
    codes = torch.eye(5, dtype=torch.float64).view(5, 1, 1, 5)
    assert torch.equal(model.thoughts(codes), codes @ model.projection.weight.T)
    scattered(transport)
    log_joint = prior().log_prob(codes) + TokenSequence(decoder, model.thoughts(codes)).log_prob(X)
    guide = CategoricalGuide(prior.z_shape)
    guide.start(X)
    guide.logits = log_joint.detach().log_softmax(0).view(1, 1, 1, 5)
    value = ImportanceWeighted(3).terms(model, guide, X).bound  # tight at the exact posterior, whatever is drawn
    torch.testing.assert_close(value, log_joint.logsumexp(0, keepdim=True), **TIGHT)
    with torch.no_grad():
        transport.requires_grad_(False)
        next(transport.parameters()).add_(1.0)
    assert (ImportanceWeighted(3).terms(model, guide, X).bound - value).abs() > 1e-4  # wrong: another T's posterior


# ---- a module of the model


def test_a_model_without_one_has_the_names_that_it_always_had(tiny):
    assert not [name for name in tiny.model.state_dict() if "transport" in name]
    names = set(LatentThoughtModel(GaussianPrior((2, 2, 5)), tiny.decoder).state_dict())
    assert names == {"projection.weight", *(f"decoder.{name}" for name in tiny.decoder.state_dict())}
    transport = MLPTransport((2, 2, 5), tiny.decoder.z_shape)
    model = LatentThoughtModel(GaussianPrior((2, 2, 5)), tiny.decoder, transport)
    assert {name.split(".")[0] for name in model.state_dict()} == {"decoder", "transport"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda z: TransformerTransport, "transport is the class TransformerTransport: give an instance"),
        (lambda z: torch.nn.Linear(16, 16), "transport is a Linear: give an instance, such as TransformerTransport"),
        (lambda z: MLPTransport((2, 2, 5), z), r"maps \(2, 2, 5\) to .*\(2, 2, 16\) to .*MLPTransport\(\(2, 2, 16\), "),
        (lambda z: MLPTransport(z, (2, 2, 8)), r"to \(2, 2, 8\), where prior and decoder need"),
        (lambda z: MLPTransport((2, 3, 16), z), "differ in their width alone"),
        (lambda z: MLPTransport(z, layers=0), "layers=0: expected 1 or more"),
        (lambda z: MLPTransport(z, hidden=-1), "hidden=-1: expected 1 or more"),
        (lambda z: TransformerTransport(z, heads=3), "heads=3: expected .* width 16 is a multiple of 2 x heads"),
        (lambda z: TransformerTransport(z, inner=0), "inner=0: expected 1 or more"),
        (lambda z: TransformerTransport((2, 2)), r"z_shape is \(2, 2\): expected three whole numbers"),
    ],
)
def test_a_transport_that_does_not_fit_is_refused(make, message, tiny):
    with pytest.raises(InputError, match=message):
        LatentThoughtModel(tiny.model.prior, tiny.decoder, make(tiny.decoder.z_shape))


def test_of_codes_the_vectors_widths_are_named(tiny):
    prior = CodebookPrior(tiny.decoder.z_shape, codes=5)
    with pytest.raises(InputError, match=r"from the codebook's vectors.*MLPTransport\(\(2, 2, 16\), \(2, 2, 16\)\)"):
        LatentThoughtModel(prior, tiny.decoder, MLPTransport(prior.z_shape, tiny.decoder.z_shape))
