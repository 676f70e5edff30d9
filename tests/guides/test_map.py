"""The most probable thoughts."""

import pyro.distributions as dist
import pytest
import torch

from ltm_pyro import ELBO, FastLoop, InputError, KLWeighted, MAPGuide, Reparameterised


def fit(toy, bound=None):
    guide = MAPGuide(toy.z_shape)
    FastLoop(bound or ELBO(), 600, 0.2, 0.0).fit(toy, guide, toy.x)
    return guide.z.detach().flatten(1)


def test_it_arrives_at_the_mode(toy):
    torch.testing.assert_close(fit(toy), toy.posterior_mean(toy.x).detach(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("weight", [0.3, 4.0])
def test_the_weight_of_the_kl_is_that_of_the_prior(weight, toy):
    precision = weight * torch.eye(4, dtype=torch.float64) + toy.weight.T @ toy.weight / toy.noise**2
    mode = torch.linalg.solve(precision, (toy.weight.T @ (toy.x - toy.bias).T) / toy.noise**2).T.detach()
    torch.testing.assert_close(fit(toy, KLWeighted(weight)), mode, atol=1e-3, rtol=0)
    assert (mode - toy.posterior_mean(toy.x)).abs().max() > 0.05


@pytest.mark.parametrize("closed_form", [True, False])
@pytest.mark.parametrize("gradient", [None, Reparameterised()], ids=repr)
def test_its_kl_is_minus_the_log_prior(gradient, closed_form, toy):
    """And its objective log p(x, z), in value and in slope."""
    guide = MAPGuide(toy.z_shape, start_at="sample")
    guide.start(toy.x, prior=toy.prior())
    terms = ELBO(3, closed_form, gradient=gradient).without_claim().terms(toy, guide, toy.x)
    z = guide.z.detach().squeeze(1).requires_grad_()
    log_prior = toy.prior().log_prob(z)
    mean = z.flatten(1) @ toy.weight.T + toy.bias
    log_joint = log_prior + dist.Normal(mean, toy.noise).log_prob(toy.x).sum(-1)
    torch.testing.assert_close(terms.kl, -log_prior)
    torch.testing.assert_close(terms.objective, log_joint)
    terms.objective.sum().backward()
    (slope,) = torch.autograd.grad(log_joint.sum(), z)
    torch.testing.assert_close(guide.z.grad.squeeze(1), slope)
    assert terms.bound is None
    assert not terms.kl_closed_form


def test_it_starts_at_the_mean_or_at_a_sample(tiny):
    prior = dist.Normal(3.0, 0.1).expand((1, 2, 2)).to_event(3)
    guide = MAPGuide((1, 2, 2))
    guide.start(tiny.x, prior=prior)
    assert torch.equal(guide.z, torch.full((3, 1, 1, 2, 2), 3.0))
    guide = MAPGuide((1, 2, 2), start_at="sample")
    guide.start(tiny.x, prior=prior)
    assert ((guide.z - 3).abs() < 0.6).all()
    assert guide.z.unique().numel() == 12


def test_another_start_is_refused():
    with pytest.raises(InputError, match=r"start_at='mode': expected 'mean' or 'sample'"):
        MAPGuide((1, 2, 2), start_at="mode")
