"""The rehearsal before training refuses classes of one's own that do not keep their contracts, in the checks' words."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from ltm_pyro import (
    ELBO,
    AbstractBound,
    AbstractGuide,
    AbstractNonBound,
    AbstractPrior,
    AbstractTransport,
    Decoder,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    LatentThoughtModel,
    MeanFieldGuide,
    MixturePrior,
    SlowStep,
)
from ltm_pyro.errors import InputError
from ltm_pyro.testing import check_bound, check_guide, check_prior, check_transport
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.own_classes import check_own_classes, is_own, made


def components(prior=GaussianPrior, guide=MeanFieldGuide, bound=ELBO, transport=None):
    decoder = Decoder(vocabulary=2, width=8, layers=2, heads=2, thoughts=2, length=8)
    shapes = decoder.z_shape, decoder.z_shape
    transport = None if transport is None else made("--transport", transport, *shapes, base="z_shape, thought_shape")
    model = LatentThoughtModel(made("--prior", prior, decoder.z_shape), decoder, transport)
    return RunComponents(model, made("--guide", guide, decoder.z_shape), FastLoop(ELBO(), 2), SlowStep(bound()))


class NoEvent(AbstractPrior):
    def forward(self):
        return dist.Normal(torch.zeros(self.z_shape), 1.0)


class OtherEvent(AbstractPrior):
    def forward(self):
        return dist.Normal(torch.zeros(self.z_shape[1:]), 1.0).to_event(2)


class Sample(AbstractPrior):
    def forward(self):
        return torch.randn(self.z_shape)


class NotPyros(AbstractPrior):
    def forward(self):
        return torch.distributions.Independent(torch.distributions.Normal(torch.zeros(self.z_shape), 1.0), 3)


class Fails(AbstractPrior):
    def forward(self):
        class Failing(dist.Normal):
            def expand(self, batch_shape, _instance=None):
                return Failing(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

            def log_prob(self, value):
                raise RuntimeError("no density yet")

        return Failing(torch.zeros(self.z_shape), torch.ones(self.z_shape)).to_event(3)


class Doubled(AbstractPrior):
    def forward(self):
        return dist.Normal(torch.zeros(self.z_shape, dtype=torch.float64), 1.0).to_event(3)


class NumpyNoise(AbstractPrior):
    def forward(self):
        return dist.Normal(torch.full(self.z_shape, float(np.random.default_rng().normal())), 1.0).to_event(3)


class NoBase(AbstractPrior):
    def __init__(self, z_shape):
        self.z_shape = z_shape

    def forward(self):
        return dist.Normal(torch.zeros(self.z_shape), 1.0).to_event(3)


class NoBaseWithWeights(NoBase):
    def __init__(self, z_shape):
        self.weight = nn.Parameter(torch.zeros(z_shape))


class Mine(AbstractGuide):
    """Right, with a global parameter; its children are each wrong in one way."""

    def __init__(self, z_shape):
        super().__init__(z_shape)
        self.scale = nn.Parameter(torch.zeros(()))

    def start(self, x, mask=None, prior=None):
        self.rows = len(x)
        mu, sigma = self.at_prior(x, prior)
        self.mu, self.log_sigma = mu.requires_grad_(), sigma.log().requires_grad_()

    def local_parameters(self):
        return [self.mu, self.log_sigma]

    def posterior(self):
        return dist.Normal(self.mu, (self.log_sigma + self.scale).exp()).to_event(3)


class OneRow(Mine):
    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.mu = torch.zeros(1, *self.z_shape, requires_grad=True)


class NoLeaf(Mine):
    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        with torch.enable_grad():
            self.mu = self.mu + 0


class NoGradient(Mine):
    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.mu = self.mu.detach()


class Pooled(Mine):
    def posterior(self):
        mu = 0.5 * self.mu + 0.5 * self.mu.mean(0, keepdim=True)
        return dist.Normal(mu, self.log_sigma.exp()).to_event(3)


class PooledScale(Mine):
    def posterior(self):
        return dist.Normal(self.mu, self.log_sigma.mean(0, keepdim=True).exp().expand_as(self.mu)).to_event(3)


class ReadsMates(Mine):
    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.mu = (self.mu.detach() + x.float().mean()).requires_grad_()


class NoRows(Mine):
    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.rows = None


class LocalIsGlobal(Mine):
    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.mu = nn.Parameter(self.__dict__.pop("mu").detach())


class Detached(Mine):
    def posterior(self):
        return dist.Normal(self.mu.detach(), self.log_sigma.exp()).to_event(3)


class WholeNumbers(Mine):
    def posterior(self):
        return dist.Poisson(self.log_sigma.exp()).to_event(3)

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        with pyro.plate("sequences", self.rows, dim=-1):
            return pyro.sample("z", dist.Delta(self.mu.detach().long(), event_dim=3))


class DoubleRows(Mine):
    def start(self, x, mask=None, prior=None):
        self.rows = len(x)
        self.mu = torch.zeros(len(x), *self.z_shape, dtype=torch.float64, requires_grad=True)
        self.log_sigma = torch.zeros_like(self.mu, requires_grad=True)


class GuideWithoutEvent(Mine):
    def posterior(self):
        return dist.Normal(self.mu, self.log_sigma.exp())


class OtherArguments(Mine):
    def start(self, tokens):
        self.rows = len(tokens)


class Turned(AbstractTransport):
    """Right; its children are each wrong in one way."""

    def __init__(self, z_shape, thought_shape=None):
        super().__init__(z_shape, thought_shape)
        self.turn = nn.Linear(self.z_shape[2], self.thought_shape[2])

    def forward(self, z):
        return self.turn(z)


class ReadsOtherZ(Turned):
    def forward(self, z):
        return self.turn(z) - z.mean(-4, keepdim=True).mean()


class ReadsOtherParticles(Turned):
    def forward(self, z):
        return self.turn(z) - z.mean(0)


class Drops(Turned):
    def forward(self, z):
        return nn.functional.dropout(self.turn(z), 0.5)


class SingleBatch(Turned):
    def forward(self, z):
        return self.turn(z.reshape(-1, *self.z_shape))


class WithoutPath(Turned):
    def forward(self, z):
        return self.turn(z).detach()


class Infinite(Turned):
    def forward(self, z):
        return self.turn(z).log()


class FailsToMap(Turned):
    def forward(self, z):
        return self.turn(z) @ z


class NoBaseTransport(AbstractTransport):
    def __init__(self, z_shape, thought_shape):
        self.weight = nn.Parameter(torch.zeros(z_shape))

    def forward(self, z):
        return z


def bound_of(function, base=AbstractBound):
    """A bound with this as its `value`."""
    return type("Own", (base,), {"value": lambda self, log_w: function(log_w)})


class Noise(AbstractNonBound):
    def estimate(self, draws):
        return draws.log_likelihood.mean()


PRIORS = [
    (NoEvent, r"event shape \(\), expected \(2, 2, 8\).*\.to_event\(3\)"),
    (OtherEvent, r"event shape \(2, 8\), expected \(2, 2, 8\)"),
    (Sample, r"forward\(\) returns a Tensor of shape \(2, 2, 8\): return the distribution"),
    (NotPyros, "take the same class from pyro.distributions"),
    (Fails, r"log_prob of p\(z\) raises RuntimeError: no density yet \(test_own_classes\.py, line"),
    (Doubled, "draws torch.float64 beside weights of torch.float32"),
    (NumpyNoise, "take all noise from torch"),
]
GUIDES = [
    (OneRow, r"of shape \(1, 2, 2, 8\) has no row for each sequence: expected \(3, ...\)"),
    (NoLeaf, "no leaf"),
    (NoGradient, "does not require a gradient"),
    (Pooled, "batch mates"),
    (PooledScale, "batch mates"),
    (ReadsMates, "batch mates"),
    (NoRows, r"set self\.rows = len\(x\)"),
    (LocalIsGlobal, "which are global"),
    (Detached, r"no gradient reaches a local parameter"),
    (WholeNumbers, "z of torch.int64"),
    (DoubleRows, r"of torch.float64, p\(z\) of torch.float32: begin with self\.at_prior"),
    (GuideWithoutEvent, r"expected \(3,\)|raises"),
    (OtherArguments, r"start\(x, mask, prior\) raises TypeError"),
]
TRANSPORTS = [
    (ReadsOtherZ, "batch mates"),
    (ReadsOtherParticles, "other particles"),
    (Drops, r"two calls with one z give other thoughts"),
    (SingleBatch, r"returns a Tensor of shape \(6, 2, 2, 8\), expected \(2, 3, 2, 2, 8\)"),
    (WithoutPath, "no gradient by z"),
    (Infinite, "NaN or infinity"),
    (FailsToMap, r"forward\(\) raises RuntimeError: .*\(test_own_classes\.py, line"),
]
BOUNDS = [
    (bound_of(lambda log_w: log_w.mean()), r"returns a Tensor of shape \(\), expected \(4,\)"),
    (bound_of(lambda log_w: log_w), r"returns a Tensor of shape \(1, 4\), expected \(4,\)"),
    (bound_of(lambda log_w: log_w.mean(0).mean().expand(log_w.shape[1])), "batch mates"),
    (bound_of(lambda log_w: log_w.mean(0) - log_w.mean(0).std()), "batch mates"),
    (bound_of(lambda log_w: log_w.detach().mean(0)), r"value\(log_w\) is detached"),
    (bound_of(lambda log_w: torch.zeros(log_w.shape[1], requires_grad=True)), "does not change|raises"),
    (bound_of(lambda log_w: 0 * log_w.mean(0)), "does not change with its log-weights"),
    (bound_of(lambda log_w: log_w.mean(0).tolist()), "returns a list, expected"),
    (bound_of(lambda log_w: log_w.nothing()), r"value\(log_w\) raises AttributeError"),
    (Noise, r"terms\(model, guide, x\)\.objective returns a Tensor of shape \(\)"),
]


@pytest.mark.parametrize(("prior", "message"), PRIORS, ids=lambda given: getattr(given, "__name__", ""))
def test_a_prior_is_refused(prior, message):
    with pytest.raises(InputError, match=f"^--prior {prior.__name__}: .*{message}"):
        check_own_classes(components(prior=prior), 8)


@pytest.mark.parametrize("prior", [NoBase, NoBaseWithWeights])
def test_a_class_that_has_not_called_its_bases_constructor_is_refused(prior):
    with pytest.raises(InputError, match=r"^--prior NoBase\w*: .*(super\(\)\.__init__|Module\.__init__)"):
        components(prior=prior)


@pytest.mark.parametrize(("guide", "message"), GUIDES, ids=lambda given: getattr(given, "__name__", ""))
def test_a_guide_is_refused(guide, message):
    with pytest.raises(InputError, match=f"^--guide {guide.__name__}: .*({message})"):
        check_own_classes(components(guide=guide), 8)


@pytest.mark.parametrize(("bound", "message"), BOUNDS, ids=range(len(BOUNDS)))
def test_a_bound_is_refused(bound, message):
    with pytest.raises(InputError, match=f"^--slow.bound {bound.__name__}: .*({message})"):
        check_own_classes(components(bound=bound), 8)


@pytest.mark.parametrize(("bound", "message"), BOUNDS[:-1], ids=range(len(BOUNDS) - 1))
def test_check_bound_says_the_same(bound, message):
    with pytest.raises(AssertionError, match=message):
        check_bound(bound())


@pytest.mark.parametrize("prior", [prior for prior, _ in PRIORS if prior is not Doubled])
def test_check_prior_refuses_it_too(prior):
    with pytest.raises(AssertionError):
        check_prior(prior)


@pytest.mark.parametrize(("transport", "message"), TRANSPORTS, ids=lambda given: getattr(given, "__name__", ""))
def test_a_transport_is_refused(transport, message):
    with pytest.raises(InputError, match=f"^--transport {transport.__name__}: .*{message}"):
        check_own_classes(components(transport=transport), 8)
    with pytest.raises(
        AssertionError, match=message.replace("6, 2, 2, 8", "6, 2, 3, 8").replace("3, 2, 2, 8", "3, 2, 3, 8")
    ):
        check_transport(transport)


def test_a_transport_without_its_bases_constructor_is_refused():
    with pytest.raises(InputError, match=r"^--transport NoBaseTransport: .*(super\(\)\.__init__|Module\.__init__)"):
        components(transport=NoBaseTransport)


@pytest.mark.parametrize("guide", [OneRow, NoLeaf, Pooled, NoRows, Detached])
def test_check_guide_refuses_it_too(guide):
    with pytest.raises(AssertionError):
        check_guide(guide)


def test_what_keeps_its_contract_passes_and_nothing_is_changed():
    class Softened(MixturePrior):
        pass

    good = bound_of(lambda log_w: log_w.logsumexp(0) - torch.tensor(float(len(log_w))).log())
    built = components(Softened, Mine, good, Turned)
    before = torch.get_rng_state(), {name: value.clone() for name, value in built.state_dict().items()}
    check_own_classes(built, 8)
    assert torch.equal(before[0], torch.get_rng_state())
    assert all(torch.equal(value, before[1][name]) for name, value in built.state_dict().items())
    assert not hasattr(built.guide, "mu")


def test_the_librarys_own_classes_are_known():
    built = components(bound=ImportanceWeighted)
    assert not any(is_own(thing) for thing in (built.model.prior, built.guide, built.slow.bound))
    assert is_own(Mine((1, 1, 2)))
