"""What every prior keeps. A new prior is one more entry in `PRIORS`."""

import pyro.distributions as dist
import pytest
import torch
from torch import nn
from toys import z_test

from ltm_pyro import AbstractPrior, GaussianPrior, InputError

PRIORS = {
    "gaussian": GaussianPrior,
    "narrow gaussian": lambda z_shape: GaussianPrior(z_shape, sigma=0.3),
}
every_prior = pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS.keys())


def density_ratio(prior, samples=20_000):
    """r(z) / p(z) at z ~ p, for a normal r well inside p: its mean is 1 if p samples what it scores."""
    z = prior.sample((samples,))
    inside = dist.Normal(z.mean(0), 0.7 * z.std(0)).to_event(3)
    return (inside.log_prob(z) - prior.log_prob(z)).exp()


@every_prior
def test_its_distribution_covers_the_thoughts_of_one_sequence(make):
    prior = make((2, 3, 4))
    assert isinstance(prior, AbstractPrior)
    assert prior.z_shape == (2, 3, 4)
    p = prior()
    assert p.batch_shape == ()
    assert p.event_shape == (2, 3, 4)
    assert p.sample((5,)).shape == (5, 2, 3, 4)
    assert p.expand((5,)).log_prob(p.sample((5,))).shape == (5,)


@every_prior
def test_its_samples_have_the_density_it_claims(make):
    z_test(density_ratio(make((1, 1, 2)).double()()), 1.0)


def test_samples_wider_than_their_density_would_be_noticed():
    class Wrong(dist.Normal):
        def sample(self, sample_shape=()):
            return 1.3 * super().sample(sample_shape)

    p = Wrong(torch.zeros(1, 1, 2, dtype=torch.float64), 1.0).to_event(3)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(density_ratio(p), 1.0)


@every_prior
def test_it_moves_as_a_module_does(make):
    prior = make((1, 1, 2)).double()
    assert isinstance(prior, nn.Module)
    assert prior().sample().dtype == torch.float64
    assert prior.float()().sample().dtype == torch.float32


@every_prior
def test_the_gradient_of_its_density_reaches_z_and_all_its_parameters(make):
    prior = make((1, 2, 2))
    z = prior().sample().requires_grad_()
    gradients = torch.autograd.grad(prior().log_prob(z), [z, *prior.parameters()])
    assert all(gradient.abs().max() > 0 for gradient in gradients)


@every_prior
def test_its_state_can_be_restored(make):
    prior = make((1, 1, 2))
    for parameter in prior.parameters():
        nn.init.normal_(parameter)
    other = make((1, 1, 2))
    other.load_state_dict(prior.state_dict())
    z = prior().sample()
    assert torch.equal(prior().log_prob(z), other().log_prob(z))


def test_the_gaussian_prior_is_the_normal_density():
    z = torch.randn(5, 2, 3, 4)
    expected = torch.distributions.Normal(0, 0.3).log_prob(z).sum((1, 2, 3))
    torch.testing.assert_close(GaussianPrior((2, 3, 4), sigma=0.3)().log_prob(z), expected)
    assert "sigma=0.3" in repr(GaussianPrior((2, 3, 4), sigma=0.3))


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_a_standard_deviation_that_is_not_positive_is_refused(sigma):
    with pytest.raises(InputError, match="sigma="):
        GaussianPrior((1, 1, 2), sigma=sigma)
