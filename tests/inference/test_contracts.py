"""Inference's contracts of models and guides: defaults of parts that say less, and what every guide of ours has."""

import inspect

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from toys import TinyModel

from ltm_pyro import (
    ELBO,
    AbstractGuide,
    AbstractModel,
    AbstractPrior,
    DualRateSVI,
    FastLoop,
    InputError,
    MeanFieldGuide,
    NaturalGradient,
    SlowStep,
)
from ltm_pyro.inference import Guide, Model, TableFit, guide_of, model_of
from ltm_pyro.inference.contracts import Prior, prior_of


class PlainGuide(nn.Module):
    """A mean-field guide that derives from nothing of the library's, with what is required alone."""

    def start(self, x, mask=None, prior=None):
        moments = (prior.mean, prior.stddev.log())
        self.mu, self.log_sigma = (m.detach().expand(len(x), *m.shape).clone().requires_grad_() for m in moments)

    def local_parameters(self):
        return [self.mu, self.log_sigma]

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        with pyro.plate("sequences", len(self.mu), dim=-1):
            return pyro.sample("z", dist.Normal(self.mu, self.log_sigma.exp()).to_event(3))


class PlainModel(nn.Module):
    """A model without a prior to start at and without a check of its batch."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(4, dtype=torch.float64))

    def forward(self, x=None, mask=None):
        with pyro.plate("sequences", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, torch.ones(1, 1, 4, dtype=torch.float64)).to_event(3))
            return pyro.sample("x", dist.Normal(z[..., 0, 0, :] + self.bias, 1.0).to_event(1), obs=x)


def weights_after_two_steps(make):
    torch.manual_seed(0)
    tiny = TinyModel()
    svi = DualRateSVI(tiny.model, make(tiny.decoder.z_shape), FastLoop(ELBO(), 3), SlowStep(ELBO()))
    for _ in range(2):
        svi.step(tiny.x)
    return [weight.detach() for weight in tiny.model.parameters()]


def test_a_plain_guide_learns_as_the_same_guide_of_ours():
    ours, plain = weights_after_two_steps(MeanFieldGuide), weights_after_two_steps(lambda z_shape: PlainGuide())
    assert all(torch.equal(one, other) for one, other in zip(ours, plain, strict=True))


def test_a_plain_guide_has_the_defaults_of_what_it_lacks_and_keeps_what_it_has():
    class Concluding(PlainGuide):
        step_size, fast_particles = 0.5, 2
        concluded = 0

        def after_fit(self, log_joint):
            self.concluded += 1

    guide, tiny = Concluding(), TinyModel()
    asked = guide_of(guide)
    assert (asked.step_size, asked.fast_particles, asked.has_density, asked.needs_unrolled) == (0.5, 2, True, False)
    assert asked.fast_optimizer(torch.optim.SGD) is torch.optim.SGD
    FastLoop(ELBO(), 2).fit(tiny.model, guide, tiny.x)
    assert guide.concluded == 1
    assert TableFit().loop(guide, FastLoop(ELBO(), 2)).optimizer is torch.optim.Adam


def test_a_plain_guide_without_natural_steps_is_refused_by_its_own_name():
    tiny = TinyModel()
    with pytest.raises(InputError, match="PlainGuide has no natural gradient in closed form"):
        FastLoop(ELBO(), 2, optimizer=NaturalGradient).fit(tiny.model, PlainGuide(), tiny.x)


def test_what_is_required_has_no_default():
    class Unstarted(nn.Module):
        def local_parameters(self):
            return []

    with pytest.raises(AttributeError, match="'Unstarted' object has no attribute 'start'"):
        guide_of(Unstarted()).start(torch.zeros(1, 2))


def test_a_plain_model_is_fitted_and_learns():
    class Standard(PlainGuide):
        def start(self, x, mask=None, prior=None):
            assert prior is None
            super().start(x, mask, dist.Normal(torch.zeros(1, 1, 4, dtype=torch.float64), 1.0))

    model, x = PlainModel(), torch.ones(3, 4, dtype=torch.float64)
    assert model_of(model).checked_batch(x) == (x, None)
    svi = DualRateSVI(model, Standard(), FastLoop(ELBO(), 3), SlowStep(ELBO(), learning_rate=0.1))
    first, *_, last = [svi.step(x).elbo.mean() for _ in range(20)]
    assert last > first


def test_what_has_all_members_is_taken_as_it_is():
    tiny = TinyModel()
    assert guide_of(tiny.guide) is tiny.guide
    assert model_of(tiny.model) is tiny.model
    assert prior_of(tiny.model.prior) is tiny.model.prior


def members(contract):
    return [name for name in vars(contract) if not name.startswith("_")]


@pytest.mark.parametrize(("contract", "base"), [(Guide, AbstractGuide), (Model, AbstractModel), (Prior, AbstractPrior)])
def test_our_bases_take_the_arguments_that_the_contract_says(contract, base):
    for name in members(contract):
        asked, given = inspect.getattr_static(contract, name), inspect.getattr_static(base, name, None)
        if inspect.isfunction(asked) and inspect.isfunction(given):
            named = list(inspect.signature(asked).parameters)
            assert list(inspect.signature(given).parameters)[: len(named)] == named, name


def test_the_defaults_of_our_guides_are_those_of_the_contract():
    class Least(AbstractGuide):
        start = local_parameters = None

    given, plain = Least((1, 2, 3)), guide_of(PlainGuide())
    for name in members(Guide):
        if isinstance(inspect.getattr_static(Guide, name), property) and name not in ("z_shape", "discrete"):
            assert getattr(given, name) == getattr(plain, name), name
