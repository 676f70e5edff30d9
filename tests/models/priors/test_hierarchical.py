"""The hierarchical prior's chain."""

import pyro.distributions as dist
import pytest
import torch

from ltm_pyro import InputError
from ltm_pyro.models.priors import HierarchicalPrior


@pytest.fixture
def prior():
    prior = HierarchicalPrior((3, 1, 2), hidden=8).double()
    with torch.no_grad():
        for step in prior.steps:
            step[-1].linear.weight.mul_(200)
    return prior


def slopes(prior, z):
    """Dependence of the density's slope along each layer on each layer, shape (L, L)."""
    hessian = torch.autograd.functional.hessian(lambda z: prior().log_prob(z), z)  # (L, K, D, L, K, D)
    return hessian.abs().amax((1, 2, 4, 5))


def test_a_layer_meets_its_neighbours_alone(prior):
    dependence = slopes(prior, torch.randn(3, 1, 2, dtype=torch.float64))
    assert dependence[0, 2] == dependence[2, 0] == 0
    assert dependence[0, 1] > 1e-3
    assert dependence[1, 2] > 1e-3


def test_its_density_is_that_of_the_chain(prior):
    with torch.no_grad():
        prior.mu.normal_()
        prior.log_sigma.normal_()
    z = prior().sample((5,))
    expected = dist.Normal(prior.mu, prior.log_sigma.exp()).log_prob(z[:, 0, 0]).sum(-1)
    for above, step in enumerate(prior.steps):
        expected = expected + step(z[:, above, 0]).log_prob(z[:, above + 1, 0]).sum(-1)
    torch.testing.assert_close(prior().log_prob(z), expected)


def test_no_weights_lead_to_infinite_scales(prior):
    z = prior().sample((5,))
    with torch.no_grad():
        for parameter in prior.steps.parameters():
            parameter.mul_(1e6)
    assert prior().log_prob(z).isfinite().all()
    assert prior().sample((5,)).isfinite().all()


def test_a_network_without_units_is_refused():
    with pytest.raises(InputError, match="hidden=0"):
        HierarchicalPrior((2, 1, 2), hidden=0)
