"""Chains that sample the posterior, if they are given the time."""

import pyro
import pytest
import torch
from toys import z_test

from ltm_pyro import ELBO, FastLoop, InputError, LangevinGuide
from ltm_pyro.guides.langevin_dynamics import LangevinDynamics, adjusted_langevin

CHAINS = 1000


def chains(toy, steps=200, rate=0.02, final=0.2, **options):
    """Independent chains for the first sequence, shape (CHAINS, L K D)."""
    guide = LangevinGuide(toy.z_shape, particles=CHAINS, **options)
    FastLoop(ELBO(), steps, rate, final).fit(toy, guide, toy.x[:1])
    return guide.z.detach()[0].flatten(1)


def assert_moments(toy, z, limit=4.0):
    """Mean and second moments, of the posterior within the error of so many chains."""
    off = z - toy.posterior_mean(toy.x[:1])
    covariance = torch.linalg.inv(toy.precision())
    z_test(off, torch.zeros(4, dtype=torch.float64), limit)
    z_test((off[:, :, None] * off[:, None, :]).flatten(1), covariance.flatten(), limit)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rate": 0.1, "final": 0.05, "preconditioned": True, "steps": 250},
        {"steps": 60, "rate": 0.07, "final": 1.0, "adjusted_steps": 60},
    ],
    ids=["plain", "preconditioned", "adjusted"],
)
def test_its_moments_are_the_posteriors(options, toy):
    assert_moments(toy, chains(toy, **options))


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.5}, {"temperature": 2.0}, {"steps": 10}, {"rate": 0.07, "final": 1.0}],
    ids=["half the noise", "twice the noise", "few steps", "large steps"],
)
def test_what_does_not_sample_it_is_told_apart(options, toy):
    with pytest.raises(AssertionError, match="standard errors"):
        assert_moments(toy, chains(toy, **options))


def test_adjusted_steps_leave_the_posterior_as_it_is(toy):
    """At a size where unadjusted ones would not."""
    factor = torch.linalg.cholesky(torch.linalg.inv(toy.precision())).detach()
    exact = toy.posterior_mean(toy.x[:1]).detach() + torch.randn(CHAINS, 4, dtype=torch.float64) @ factor.T

    def log_density(z):
        off = z.flatten(2) - toy.posterior_mean(toy.x[:1]).detach()
        return -0.5 * (off @ toy.precision().detach() * off).sum(-1)

    z = exact.view(CHAINS, 1, *toy.z_shape)
    moved = adjusted_langevin(z, log_density, steps=20, size=0.08).view(CHAINS, 4)
    assert_moments(toy, moved)
    assert ((moved - exact).abs().amax(1) > 0).double().mean() > 0.9


def test_adjusted_steps_keep_a_chain_where_a_proposal_is_not_finite():
    z = torch.ones(2, 1, 1, 1, 1)
    moved = adjusted_langevin(z, lambda z: z.sum((-3, -2, -1)) * float("nan"), steps=3, size=0.1)
    assert torch.equal(moved, z)


def test_no_noise_is_gradient_ascent(toy):
    z = chains(toy, steps=400, rate=0.05, final=1.0, temperature=0.0)
    torch.testing.assert_close(z, toy.posterior_mean(toy.x[:1]).detach().expand_as(z), atol=1e-6, rtol=0)


def test_its_noise_is_that_of_the_step_and_the_temperature():
    z = torch.zeros(2, 3, 50, 50, requires_grad=True)
    z.grad = torch.full_like(z, 2.0)
    LangevinDynamics([z], lr=0.1, temperature=3.0).step()
    moved = z.detach()
    assert abs(moved.mean() + 0.2) < 4 * (0.6 / moved.numel()) ** 0.5
    assert abs(moved.var() - 0.6) < 4 * 0.6 * (2 / moved.numel()) ** 0.5


def test_the_noise_comes_from_torchs_generator(toy):
    found = []
    for seed in (1, 1, 2):
        pyro.set_rng_seed(seed)
        found.append(chains(toy, steps=3))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_loops_optimizer_is_not_used(toy):
    def refuse(*args, **kwargs):
        raise AssertionError("asked for")

    FastLoop(ELBO(), 2, optimizer=refuse).fit(toy, LangevinGuide(toy.z_shape), toy.x)


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1.0}, {"adjusted_steps": -1}, {"temperature": 0.0, "adjusted_steps": 2}],
    ids=repr,
)
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(InputError, match="adjusted_steps="):
        LangevinGuide((1, 2, 2), **options)
