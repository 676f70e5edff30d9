"""The exemplar prior: its components are texts' posteriors, no text meets its own, unused texts are exchanged."""

import math

import pyro
import pytest
import torch
from pyro import poutine
from toys import SIZES

from ltm_pyro import (
    ELBO,
    Decoder,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    InputError,
    LatentThoughtModel,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.data import Batch
from ltm_pyro.guides import MAPGuide
from ltm_pyro.models.priors import ExemplarPrior, SlowStepContext
from ltm_pyro.models.priors.mixture import gaussian_mixture


class Texts:
    """Random ones."""

    def __init__(self, decoder, count=10):
        self.x = torch.randint(decoder.vocabulary, (count, decoder.length))

    def __len__(self):
        return len(self.x)

    def batch(self, indices):
        x = self.x[list(indices)]
        ids, ones = torch.tensor(list(indices)), torch.ones_like(x)
        return Batch(x, ones > 0, ones[:, 0], ids, ones)


class Class:
    """All that a lesson needs: a model with an exemplar prior, a guide, texts, and the two rates."""

    def __init__(self, guide=MeanFieldGuide, texts=10, **arguments):
        decoder = Decoder(**SIZES)
        self.prior = ExemplarPrior(decoder.z_shape, **{"components": 4, "every": 2} | arguments)
        self.model, self.guide = LatentThoughtModel(self.prior, decoder), guide(decoder.z_shape)
        self.fast = FastLoop(ELBO(2), steps=3)
        self.svi = DualRateSVI(self.model, self.guide, self.fast, SlowStep(ELBO(2), learning_rate=1e-2))
        self.texts = Texts(decoder, texts)

    def context(self, step, ids=(0, 1, 2)):
        optimizer = self.svi.slow.optimizer
        return SlowStepContext(step, torch.tensor(ids), self.texts, self.model, self.guide, self.svi.fit, optimizer)

    def step(self, step, ids=(0, 1, 2)):
        """A slow step, as training takes it; what is logged."""
        batch = self.texts.batch(ids)
        with self.prior.on_slow_step(self.context(step, ids)) as noted:
            self.svi.step(batch.x, batch.mask, previous=batch.previous)
        return noted["exemplars"]


@pytest.fixture
def pupils():
    """A class in its third step, all of whose components have texts."""
    pupils = Class()
    assert [pupils.step(step)["exchanged"] for step in (1, 2)] == [0, 4]
    return pupils


def by_hand(prior, z, components):
    """log p(z) of the mixture of these components."""
    chosen = prior.logits[components], prior.mu[components], (prior.log_sigma + prior.log_width)[components]
    return gaussian_mixture(*chosen).log_prob(z)


def test_a_text_is_scored_by_the_others_while_the_prior_learns(pupils):
    prior, exemplar = pupils.prior, int(pupils.prior.ids[2])
    other = next(i for i in range(10) if i not in prior.ids)
    z = prior().sample((2,))
    with prior.on_slow_step(pupils.context(3, (exemplar, other))):
        p = prior()
        assert p.batch_shape == (2,)
        assert p.event_shape == prior.z_shape
        seen = p.log_prob(z)
        torch.testing.assert_close(p.expand((3, 2)).log_prob(z.expand(3, *z.shape)), seen.expand(3, 2))
        moments = p.mean, p.variance
        pupils.svi.fit(pupils.texts.batch((exemplar, other)).x)
    expected = torch.stack((by_hand(prior, z[0], [0, 1, 3]), by_hand(prior, z[1], [0, 1, 2, 3])))
    torch.testing.assert_close(seen, expected)
    assert prior().batch_shape == ()
    assert all(map(torch.equal, moments, (prior().mean, prior().variance)))  # guides start alike for every text
    assert not torch.equal(prior().log_prob(z)[0], seen[0])
    slopes = torch.autograd.grad(seen.sum(), list(prior.parameters()))
    assert all(slope.isfinite().all() for slope in slopes)


def test_by_its_own_posterior_a_text_would_cost_the_logarithm_of_their_number(pupils):
    """The text's own posterior is left out for this reason: the KL to the other components is another matter."""
    prior, exemplar = pupils.prior, int(pupils.prior.ids[0])
    with torch.no_grad():  # as posteriors are that say much
        prior.mu.mul_(20.0)
        prior.log_sigma.sub_(1.0)
        prior.logits.zero_()
        prior.log_width.zero_()
    z = prior.mu[0] + prior.log_sigma[0].exp() * torch.randn(500, *prior.z_shape)
    log_q = torch.distributions.Normal(prior.mu[0], prior.log_sigma[0].exp()).log_prob(z).sum((1, 2, 3))
    kl = (log_q - prior().log_prob(z)).mean()
    assert kl.item() == pytest.approx(math.log(4), abs=1e-3)
    with prior.on_slow_step(pupils.context(3, (exemplar,))):
        assert (log_q - prior().log_prob(z[:, None])[:, 0]).mean() > 10
        pupils.svi.fit(pupils.texts.batch((exemplar,)).x)


def test_the_components_are_what_the_fast_loop_finds_under_the_standard_normal(pupils):
    """Wherever the components stood before."""
    prior = pupils.prior
    plain = LatentThoughtModel(GaussianPrior(prior.z_shape), pupils.model.decoder)
    with torch.no_grad():
        prior.mu.add_(1.0)
    pyro.set_rng_seed(3)
    prior._fit(pupils.context(4, (5, 6, 7, 8)))
    batch = pupils.texts.batch(prior.ids.tolist())
    pyro.set_rng_seed(3)
    pupils.fast.fit(plain, pupils.guide, batch.x, batch.mask, previous=batch.previous)
    torch.testing.assert_close(prior.mu, pupils.guide.mu.detach())
    torch.testing.assert_close(prior.log_sigma, pupils.guide.log_sigma.detach())
    assert prior.mu.std(0).min() > 0  # each text has its own


def test_they_are_fitted_anew_every_so_many_steps_and_only_then(pupils):
    buffers = {name: value.clone() for name, value in pupils.prior.named_buffers() if "usage" not in name}
    assert pupils.step(3)["exchanged"] == 0
    assert all(torch.equal(value, pupils.prior.get_buffer(name)) for name, value in buffers.items())
    pupils.step(4)
    assert not torch.equal(buffers["mu"], pupils.prior.mu)


def test_texts_that_no_other_makes_use_of_are_exchanged(pupils):
    pupils.step(3)
    prior, adam = pupils.prior, pupils.svi.slow.optimizer
    before = prior.ids.clone()
    with torch.no_grad():
        prior.usage.total.copy_(torch.tensor([0.5, 0.001, 0.499, 0.0]) * prior.usage.weight)
        prior.logits.copy_(torch.tensor([2.0, -3.0, 1.0, -4.0]))
    moments = adam.state[prior.logits]["exp_avg"]
    assert (moments != 0).all()
    assert prior._exchange(pupils.context(4)) == 2
    assert torch.equal(prior.ids[[0, 2]], before[[0, 2]])
    assert not set(prior.ids[[1, 3]].tolist()) & set(before.tolist())
    assert len(set(prior.ids.tolist())) == 4
    assert (moments != 0).tolist() == [True, False, True, False]
    shares = prior.logits.detach() - torch.tensor([2.0, -3.0, 1.0, -4.0]).logsumexp(0)
    torch.testing.assert_close(shares.exp()[[1, 3]], torch.tensor([0.25, 0.25]))


def test_usage_is_the_mean_of_responsibilities(pupils):
    prior = pupils.prior
    outside = [i for i in range(10) if i not in prior.ids][:3]
    prior.usage.total.zero_()
    prior.usage.weight.zero_()
    pyro.set_rng_seed(5)
    with prior.on_slow_step(pupils.context(3, outside)) as noted:
        pupils.svi.fit(pupils.texts.batch(outside).x)
        state = torch.get_rng_state()
    torch.set_rng_state(state)
    batch = pupils.texts.batch(outside)
    z = poutine.trace(pupils.guide).get_trace(batch.x).nodes["z"]["value"]
    each = torch.stack([by_hand(prior, z, [c]) for c in range(4)], -1) + prior.logits.log_softmax(0)
    torch.testing.assert_close(prior.usage.frequencies, each.softmax(-1).mean(0).detach())
    assert noted["exemplars"]["perplexity"] == prior.usage.perplexity
    assert set(noted["exemplars"]) == {"used", "perplexity", "exchanged"}


def test_few_texts_leave_components_without_one():
    pupils = Class(texts=3)
    assert [pupils.step(step)["exchanged"] for step in (1, 2, 3, 4)] == [0, 3, 0, 0]
    assert sorted(pupils.prior.ids.tolist()) == [-1, 0, 1, 2]


def diverges(model, *batch, **others):
    assert model.prior().batch_shape == (3,)
    raise ArithmeticError


def test_a_step_that_failed_leaves_it_as_it_was(pupils):
    before = pupils.prior.state_dict()["usage.total"].clone()
    pupils.fast.fit = diverges
    with pytest.raises(ArithmeticError):
        pupils.step(4, pupils.prior.ids[:3].tolist())
    assert pupils.prior().batch_shape == ()
    assert torch.equal(pupils.prior.usage.total, before)


def test_it_learns_to_put_its_mass_where_posteriors_are():
    """Repeated texts of two kinds: components and weights come to cost less than the standard normal."""
    pupils = Class(texts=12, components=4)
    pupils.texts.x[::2], pupils.texts.x[1::2] = pupils.texts.x[0], pupils.texts.x[1]
    pupils.fast.steps, pupils.prior.every = 8, 5
    for step in range(1, 16):
        pupils.step(step, (0, 1, 2, 3, 4, 5))
    batch = pupils.texts.batch(range(4))
    pupils.svi.fit(batch.x, batch.mask, previous=batch.previous)
    z = pupils.guide.posterior().sample((2000,)).detach()  # many draws: a single one's noise is a nat and more
    standard = GaussianPrior(pupils.prior.z_shape)()
    gain = (pupils.prior().log_prob(z) - standard.log_prob(z)).mean(1)
    assert gain.mean() > 4 * gain.std() / len(gain) ** 0.5


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="components=1"):
        ExemplarPrior((1, 1, 2), components=1)
    with pytest.raises(InputError, match="every=0"):
        ExemplarPrior((1, 1, 2), every=0)
    with pytest.raises(InputError, match="--guide MeanFieldGuide"):
        Class(guide=MAPGuide).step(1)
