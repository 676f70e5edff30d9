"""The aggregated posterior against the prior: the test accepts what is the prior, and rejects what is not."""

import math

import numpy as np
import pytest
import torch
from toys import decoder_with

from ltm_pyro import ELBO, FastLoop, LatentThoughtModel, MeanFieldGuide
from ltm_pyro.data import Batch
from ltm_pyro.evaluation.aggregate import aggregate_against_prior, mmd
from ltm_pyro.models import GaussianPrior, MixturePrior, StudentTPrior
from ltm_pyro.models.priors import Density

SHAPE = (2, 3, 4)


@pytest.fixture
def model():
    decoder = decoder_with()
    return LatentThoughtModel(GaussianPrior(decoder.z_shape).double(), decoder)


def z_of(prior, count=100):
    return prior().sample((count,))


def batches(model, count=3, size=8):
    for _ in range(count):
        x = model(batch_size=size).detach()
        every = torch.arange(size)
        yield Batch(x, None, torch.zeros_like(every), every, torch.ones_like(x))


def guide(model):
    return MeanFieldGuide(model.prior.z_shape)


class Shifted(MeanFieldGuide):
    """A guide whose posteriors are all in one place beside the prior."""

    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.mu = (self.mu.detach() + 1).requires_grad_()


@pytest.mark.parametrize("prior", [GaussianPrior, StudentTPrior, MixturePrior])
def test_samples_of_one_prior_are_accepted_as_often_as_the_level_says(prior):
    prior = prior(SHAPE)
    levels = [mmd(z_of(prior, 40), z_of(prior, 30), 99).p_value for _ in range(60)]
    assert np.mean(np.array(levels) <= 0.05) <= 0.15
    assert 0.35 < np.mean(levels) < 0.65  # uniform, not merely large


@pytest.mark.parametrize("other", [GaussianPrior(SHAPE, sigma=1.5), MixturePrior(SHAPE, components=2, spread=0.95)])
def test_samples_of_another_distribution_are_rejected(other):
    found = mmd(z_of(GaussianPrior(SHAPE)), z_of(other), 99)
    assert found.p_value == 0.01
    assert found.squared > found.null_95


def test_a_shift_is_rejected_and_measured():
    z = z_of(GaussianPrior(SHAPE))
    near, far = (mmd(z, z_of(GaussianPrior(SHAPE)) + shift, 99) for shift in (0.3, 1.0))
    assert near.p_value <= 0.05
    assert far.p_value == 0.01
    assert far.squared > near.squared


def test_the_estimate_is_that_of_its_definition():
    a, b = z_of(GaussianPrior(SHAPE), 5).double(), z_of(GaussianPrior(SHAPE), 4).double() + 0.5
    both = torch.cat([a, b]).flatten(1)
    squared = torch.cdist(both, both).square()
    kernel = torch.exp(-squared / squared[~torch.eye(9, dtype=torch.bool)].median())
    parts = [kernel[:5, :5], kernel[5:, 5:]]
    within = sum((part.sum() - len(part)) / (len(part) * (len(part) - 1)) for part in parts)
    assert mmd(a, b, 9).squared == pytest.approx((within - 2 * kernel[:5, 5:].mean()).item(), abs=1e-12)


def test_one_sample_says_nothing():
    assert all(map(math.isnan, mmd(z_of(GaussianPrior(SHAPE), 1), z_of(GaussianPrior(SHAPE), 1))))


def test_posteriors_at_the_prior_are_the_prior(model):
    found = aggregate_against_prior(model, guide(model), FastLoop(ELBO(), 0), batches(model), 199)
    assert found.sequences == 24
    assert found.mmd.p_value > 0.05
    assert abs(found.log_prior - found.own_log_prior) < 4 * math.hypot(found.log_prior_error, found.own_log_prior_error)
    size = math.prod(model.prior.z_shape)
    entropy = 0.5 * size * math.log(2 * math.pi * math.e)
    assert found.own_log_prior == pytest.approx(-entropy, abs=5 * found.own_log_prior_error)
    assert len(found.norms) == len(found.variances) == model.prior.z_shape[0]
    assert found.prior_variances == pytest.approx([1.0] * model.prior.z_shape[0], abs=0.4)
    assert found.prior_norms == pytest.approx([model.prior.z_shape[-1] ** 0.5] * model.prior.z_shape[0], rel=0.2)


def test_posteriors_beside_the_prior_are_not(model):
    found = aggregate_against_prior(model, Shifted(model.prior.z_shape), FastLoop(ELBO(), 0), batches(model), 199)
    assert found.mmd.p_value == 0.005
    assert found.log_prior < found.own_log_prior - 3 * found.log_prior_error
    assert all(q > p for q, p in zip(found.norms, found.prior_norms, strict=True))
    record = found.to_record()
    assert record["mmd_p_value"] == 0.005
    assert record["norm_layer_1"] == found.norms[0]
    assert all(isinstance(value, int | float) for value in record.values())


def test_it_is_repeatable_and_leaves_the_random_state(model):
    held = list(batches(model, 1))
    state = torch.get_rng_state()
    first, again, other = (
        aggregate_against_prior(model, guide(model), FastLoop(ELBO(), 1), held, 19, seed) for seed in (0, 0, 1)
    )
    assert first == again != other
    assert torch.equal(state, torch.get_rng_state())
    assert model.training


class Estimated(GaussianPrior):
    """A prior that says that its density is not exact."""

    density = Density.BELOW


def test_a_density_that_is_not_exact_is_not_reported(model):
    model.prior = Estimated(model.prior.z_shape).double()
    found = aggregate_against_prior(model, guide(model), FastLoop(ELBO(), 0), batches(model, 1), 9)
    assert math.isnan(found.log_prior)
    assert math.isnan(found.own_log_prior_error)
    assert not math.isnan(found.mmd.squared)
