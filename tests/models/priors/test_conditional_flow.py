"""The conditional flow: its density, its inverse, its dependence on the context."""

import sys

import pytest
import torch
from toys import z_test

from ltm_pyro import InputError
from ltm_pyro.models.priors import ConditionalFlow, SplineFlowPrior
from ltm_pyro.models.priors.conditioned import ConditionedPrior
from ltm_pyro.testing import check_prior
from ltm_pyro.testing.priors import scattered

CONTEXTS = torch.tensor([[0.0, 0.0, 0.0], [0.8, -1.0, 0.5], [-1.0, 0.3, 0.7]], dtype=torch.float64)


def conditional(z_shape=(1, 1, 2), **sizes):
    """A conditional flow away from its start, on thoughts with a mean and a scale of their own."""
    flow = scattered(ConditionalFlow(z_shape, 3, **{"transforms": 3, "hidden": 16, "bins": 5, **sizes}))
    with torch.no_grad():
        flow.affine.weight.mul_(0.1)  # so that a grid can hold the density
    flow.standardise(2 + 0.5 * torch.randn(100, *z_shape, dtype=torch.float64))
    return flow


@torch.no_grad()
def mass(log_density, half=4.0, points=401):
    """The integral of a density of two dimensions on a grid around 2."""
    axis = torch.linspace(2 - half, 2 + half, points, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    return log_density(z).exp().sum().item() * (axis[1] - axis[0]).item() ** 2


def test_its_map_is_inverted_for_every_context():
    flow, noise = conditional((2, 2, 3)).flow, torch.randn(3, 12, dtype=torch.float64)
    f = flow.transform(CONTEXTS)
    torch.testing.assert_close(f(f.inv(noise)), noise, rtol=0, atol=1e-6)
    other = flow.transform(CONTEXTS.flip(0))
    assert (other(f.inv(noise)) - noise).abs().amax(1)[[0, 2]].min() > 0.01  # wrong: another context's inverse


def test_its_density_integrates_to_one_at_every_context():
    flow = conditional()
    totals = [mass(flow(context).log_prob) for context in CONTEXTS]
    assert totals == pytest.approx([1, 1, 1], abs=5e-3)
    log_scale = flow.scale.log().sum()
    assert mass(lambda z: flow(CONTEXTS[1]).log_prob(z) + log_scale) < 0.5  # wrong: the scale is left out


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_it_keeps_the_contract_of_a_prior_at_a_context(context):
    def flow(z_shape):
        return ConditionalFlow(z_shape, 3, hidden=16)

    check_prior(lambda z_shape: ConditionedPrior(flow(z_shape), context.float()), draws=20_000)


def test_each_text_of_a_batch_has_the_density_of_its_own_context():
    flow = conditional((1, 2, 2))
    z = flow(CONTEXTS).sample((5,))
    assert z.shape == (5, 3, 1, 2, 2)
    together = flow(CONTEXTS).log_prob(z)
    apart = torch.stack([flow(context).log_prob(z[:, i]) for i, context in enumerate(CONTEXTS)], 1)
    torch.testing.assert_close(together, apart)
    torch.testing.assert_close(flow(CONTEXTS).expand((5, 3)).log_prob(z), together)
    assert (flow(CONTEXTS.flip(0)).log_prob(z) - together).abs()[:, [0, 2]].min() > 1e-6


def test_its_samples_are_those_of_their_own_context():
    flow = conditional()
    with torch.no_grad():
        z = flow(CONTEXTS).sample((20_000,)).flatten(2)
        means = torch.stack([flow(context).sample((20_000,)).flatten(1).mean(0) for context in CONTEXTS])
    z_test((z - means).flatten(1), torch.zeros(6), limit=6.0)  # of two samples, which have 1.4 times the error
    with pytest.raises(AssertionError):
        z_test((z - means.flip(0)).flatten(1), torch.zeros(6), limit=6.0)


def test_it_starts_at_the_moments_of_the_thoughts_whatever_the_context():
    flow = ConditionalFlow((1, 2, 2), 3).double()
    z = 5 + 3 * torch.randn(4000, 1, 2, 2, dtype=torch.float64)
    flow.standardise(z)
    normal = torch.distributions.Normal(z.mean(0), z.std(0)).log_prob(z).sum((1, 2, 3))
    with torch.no_grad():
        for context in CONTEXTS:
            assert (flow(context).log_prob(z) - normal).abs().max() < 0.3
    assert (SplineFlowPrior((1, 2, 2)).double()().log_prob(z) - normal).abs().mean() > 9  # wrong: N(0, I)


def test_a_dimension_that_does_not_vary_has_a_scale():
    flow = ConditionalFlow((1, 1, 2), 3)
    flow.standardise(torch.stack((torch.randn(9), torch.ones(9)), 1).view(9, 1, 1, 2))
    assert flow.scale.min() > 0
    assert flow(torch.zeros(3)).sample((2,)).isfinite().all()


def test_one_dimension_depends_on_the_context_too():
    flow = scattered(ConditionalFlow((1, 1, 1), 3, hidden=8))
    z = torch.linspace(-2, 2, 5, dtype=torch.float64).view(-1, 1, 1, 1)
    densities = [flow(context).log_prob(z) for context in CONTEXTS]
    assert (densities[0] - densities[1]).abs().min() > 1e-6


@pytest.mark.parametrize("context", [None, torch.zeros(2), torch.zeros(5, 4)], ids=["none", "narrow", "wide"])
def test_without_a_context_of_its_width_there_is_no_density(context):
    with pytest.raises(InputError, match=r"expected a tensor of shape \(\.\.\., 3\)"):
        ConditionalFlow((1, 1, 2), 3)(context)


@pytest.mark.parametrize("wrong", [{"context": 0}, {"transforms": 0}, {"hidden": 0}, {"bins": 1}, {"bound": 0.0}])
def test_sizes_that_make_no_flow_are_refused(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}="):
        ConditionalFlow((1, 1, 2), **{"context": 3, **wrong})


def test_without_zuko_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(InputError, match=r"pip install 'ltm-pyro\[flows\]'"):
        ConditionalFlow((1, 1, 2), 3)
