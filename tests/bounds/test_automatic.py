"""The gradient that a mean over particles takes if nothing else is asked for."""

import pytest
import torch

from ltm_pyro import ELBO, FastLoop, KLWeighted, MeanFieldGuide, MixturePrior, Reparameterised, StickingTheLanding
from ltm_pyro.models.exact import LinearGaussian


def told_nothing(prior):
    """A model whose data say nothing about z, so that the prior is the posterior."""
    toy = LinearGaussian()
    toy.weight.data.zero_()
    toy.prior = prior.double()
    return toy


def moved(bound, toy):
    guide = MeanFieldGuide(toy.z_shape)
    FastLoop(bound, steps=10, learning_rate=0.3, final_fraction=1.0).fit(toy, guide, toy.x)
    return guide.mu.abs().max()


def gradients(bound, toy):
    torch.manual_seed(0)
    guide = MeanFieldGuide(toy.z_shape, sigma=0.5)
    guide.start(toy.x, prior=toy.prior())
    learned = [*guide.local_parameters(), toy.weight]
    return torch.autograd.grad(bound.terms(toy, guide, toy.x).objective.sum(), learned)


@pytest.mark.parametrize("make", [lambda **by: ELBO(2, **by), lambda **by: KLWeighted(0.3, 2, **by)], ids=["1", "0.3"])
def test_it_is_the_exact_derivative_where_there_is_one_and_sticks_the_landing_elsewhere(make):
    exact, sampled = LinearGaussian(), LinearGaussian()
    sampled.prior = MixturePrior(sampled.z_shape, 2).double()
    for toy, like, unlike in (
        (exact, Reparameterised(), StickingTheLanding()),
        (sampled, StickingTheLanding(), Reparameterised()),
    ):
        ours = gradients(make(), toy)
        for one, other in zip(ours, gradients(make(gradient=like), toy), strict=True):
            torch.testing.assert_close(one, other)
        assert not torch.allclose(ours[1], gradients(make(gradient=unlike), toy)[1])


def test_q_stays_at_a_prior_that_the_data_say_nothing_against():
    toy = told_nothing(MixturePrior((2, 1, 2), 1, spread=1e-3))
    assert moved(ELBO(), toy) < 0.01
    assert moved(ELBO(gradient=Reparameterised()), toy) > 0.1
