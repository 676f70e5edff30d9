"""The public checks pass what keeps the contracts, and refuse what does not, saying why."""

import random

import pyro
import pyro.distributions as dist
import pytest
import torch

from ltm_pyro import (
    ELBO,
    AbstractBound,
    AbstractPrior,
    ChiUpper,
    Claim,
    FullCovarianceGuide,
    GaussianPrior,
    ImportanceWeighted,
    Jackknife,
    LaplacePrior,
    MeanFieldGuide,
    MLPTransport,
    Renyi,
    TransformerTransport,
)
from ltm_pyro.testing import check_bound, check_guide, check_prior, check_transport


class WiderThanItSays(GaussianPrior):
    def forward(self):
        class Wide(dist.Normal):
            def expand(self, batch_shape, _instance=None):
                return Wide(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

            def log_prob(self, value):
                return dist.Normal(self.loc, 0.9 * self.scale).log_prob(value)

        return Wide(torch.zeros_like(self.sigma), self.sigma).expand(self.z_shape).to_event(3)


class WithoutNormaliser(GaussianPrior):
    def forward(self):
        class Loose(dist.Normal):
            def expand(self, batch_shape, _instance=None):
                return Loose(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

            def log_prob(self, value):
                return super().log_prob(value) + 0.1

        return Loose(torch.zeros_like(self.sigma), self.sigma).expand(self.z_shape).to_event(3)


class EventOfNumbers(AbstractPrior):
    def forward(self):
        return dist.Normal(0.0, 1.0).expand(self.z_shape)


class NoiseOfItsOwn(AbstractPrior):
    def forward(self):
        return dist.Normal(random.random() * torch.ones(()), 1.0).expand(self.z_shape).to_event(3)


class StaysWhereItIs(AbstractPrior):
    def forward(self):
        return dist.Normal(torch.zeros(()), torch.ones(())).expand(self.z_shape).to_event(3)


class NotSaved(AbstractPrior):
    def __init__(self, z_shape):
        super().__init__(z_shape)
        self.register_buffer("place", torch.randn(()), persistent=False)

    def forward(self):
        return dist.Normal(self.place, torch.ones_like(self.place)).expand(self.z_shape).to_event(3)


class WithAFixedShift(MeanFieldGuide):
    """A parameter that the fast loop moves and q does not use."""

    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.unused = torch.zeros(len(x), 1, dtype=self.mu.dtype, requires_grad=True)

    def local_parameters(self):
        return [*super().local_parameters(), self.unused]


class BatchMixed(MeanFieldGuide):
    def posterior(self):
        return dist.Normal(self.mu + 0.1 * self.mu.mean(0), self.log_sigma.exp()).to_event(3)


class Global(MeanFieldGuide):
    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.mu = torch.nn.Parameter(self.__dict__.pop("mu").detach())


class Coupled(AbstractBound):
    """Tight and below, but each sequence pays for the scatter of all."""

    def value(self, log_w):
        return log_w.mean(0) - log_w.var(0).mean()


class Raised(AbstractBound):
    def value(self, log_w):
        return log_w.mean(0) + 0.01


class FalseClaim(Renyi):
    """Renyi's bound of a negative order is above log p(x) only as S grows; with few samples it is below."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.claim = Claim.UPPER


class NotSavedTransport(MLPTransport):
    def __init__(self, z_shape, thought_shape=None):
        super().__init__(z_shape, thought_shape)
        self.register_buffer("scale", torch.rand(()), persistent=False)

    def forward(self, z):
        return self.scale * super().forward(z)


class StaysInItsType(MLPTransport):
    def forward(self, z):
        return super().forward(z) * torch.ones(self.thought_shape, dtype=torch.float64)


@pytest.mark.parametrize("make", [MLPTransport, TransformerTransport])
def test_a_transport_that_keeps_its_contract_passes(make):
    check_transport(make)


@pytest.mark.parametrize(
    ("make", "message"), [(NotSavedTransport, r"load_state_dict\(\)"), (StaysInItsType, "parameters or buffers")]
)
def test_a_transport_that_does_not_is_refused(make, message):
    with pytest.raises(AssertionError, match=message):
        check_transport(make)


@pytest.mark.parametrize("make", [GaussianPrior, LaplacePrior])
def test_a_prior_that_keeps_its_contract_passes(make):
    check_prior(make)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (WiderThanItSays, "standard errors"),
        (WithoutNormaliser, r"integrates to 1\.2"),
        (EventOfNumbers, r"event shape \(\), expected \(2, 3, 4\)"),
        (NoiseOfItsOwn, "take all noise from torch"),
        (StaysWhereItIs, "register_buffer"),
        (NotSaved, r"load_state_dict\(\)"),
    ],
)
def test_a_prior_that_does_not_is_refused(make, message):
    with pytest.raises(AssertionError, match=message):
        check_prior(make)


@pytest.mark.parametrize("make", [MeanFieldGuide, FullCovarianceGuide])
def test_a_guide_that_keeps_its_contract_passes(make):
    check_guide(make)


@pytest.mark.parametrize(
    ("make", "message"),
    [(WithAFixedShift, "where it was"), (BatchMixed, "batch mates"), (Global, "which are global")],
)
def test_a_guide_that_does_not_is_refused(make, message):
    with pytest.raises(AssertionError, match=message):
        check_guide(make)


def test_a_guide_that_stays_far_is_refused():
    with pytest.raises(AssertionError, match=r"more than 0\.01"):
        check_guide(MeanFieldGuide, within=0.01)


@pytest.mark.parametrize(
    "bound",
    [ELBO(4, closed_form_kl=False), ImportanceWeighted(8), ChiUpper(16, order=1.2), Jackknife(8)],
    ids=["elbo", "importance-weighted", "upper", "an estimate"],
)
def test_a_bound_that_keeps_its_claim_passes(bound):
    check_bound(bound)


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        (Coupled(4), "batch mates"),
        (Raised(4), r"0\.01 nats"),
        (FalseClaim(-1.0, 2), "standard errors"),
    ],
    ids=["coupled", "raised", "false claim"],
)
def test_a_bound_that_does_not_is_refused(bound, message):
    with pytest.raises(AssertionError, match=message):
        check_bound(bound)


def test_the_global_noise_is_left_as_it_was():
    pyro.set_rng_seed(5)
    before = torch.get_rng_state()
    check_bound(ImportanceWeighted(2))
    assert torch.equal(before, torch.get_rng_state())
