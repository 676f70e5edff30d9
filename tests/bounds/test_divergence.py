"""KL: exact where it can be, estimated where it cannot, and never silently the one for the other."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import nn
from toys import FixedGuide, z_test

from ltm_pyro import ELBO, ImportanceWeighted
from ltm_pyro.bounds.divergence import divergence
from ltm_pyro.models.exact import LinearGaussian

Z_SHAPE = (2, 3, 2)


class Prior(nn.Module):
    """A prior from a function, as the toy model takes it."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self):
        return self.make()


def zeros(*shape):
    return torch.zeros(*shape, dtype=torch.float64)


def mixture():
    parts = dist.Normal(torch.randn(3, *Z_SHAPE, dtype=torch.float64), 1.0).to_event(3)
    return dist.MixtureSameFamily(dist.Categorical(torch.ones(3, dtype=torch.float64)), parts)


PRIORS = {  # prior, whether its KL from a diagonal Gaussian has a closed form, whether it splits by layer
    "normal": (lambda: dist.Normal(zeros(*Z_SHAPE), 2.0).to_event(3), True, True),
    "laplace": (lambda: dist.Laplace(zeros(*Z_SHAPE), 2.0).to_event(3), True, True),
    "student": (lambda: dist.StudentT(4.0, zeros(*Z_SHAPE), 1.0).to_event(3), False, True),
    "by layer": (lambda: dist.Normal(zeros(*Z_SHAPE), 2.0).to_event(2).to_event(1), True, True),
    "mixture": (mixture, False, False),
}
every_prior = pytest.mark.parametrize(("make", "exact", "splits"), PRIORS.values(), ids=PRIORS.keys())


def toy_with(make):
    toy = LinearGaussian(z_shape=Z_SHAPE)
    prior = make()
    toy.prior = Prior(lambda: prior)
    rows = (4, *Z_SHAPE)
    guide = FixedGuide(torch.randn(rows, dtype=torch.float64), torch.rand(rows, dtype=torch.float64) + 0.5)
    return toy, guide


@every_prior
@pytest.mark.parametrize("bound", [ELBO(5), ImportanceWeighted(5)])
def test_the_terms_say_whether_the_kl_is_exact_and_how_it_splits(bound, make, exact, splits):
    toy, guide = toy_with(make)
    terms = bound.terms(toy, guide, toy.x)
    assert terms.kl_closed_form == exact
    assert (terms.kl_per_layer is not None) == splits
    if splits:
        assert terms.kl_per_layer.shape == (4, 2)
        torch.testing.assert_close(terms.kl_per_layer.sum(-1), terms.kl, atol=1e-10, rtol=0)


@every_prior
def test_an_estimate_is_log_q_minus_log_p(make, exact, splits):
    p, q = make(), dist.Normal(torch.randn(4, *Z_SHAPE, dtype=torch.float64), 0.7).to_event(3)
    z = q.sample((5,))
    estimate = divergence(q, p, z, closed_form=False)
    assert not estimate.closed_form
    torch.testing.assert_close(estimate.total, q.log_prob(z) - p.log_prob(z), atol=1e-10, rtol=0)


def test_the_estimate_has_the_closed_form_as_its_mean():
    toy, guide = toy_with(PRIORS["normal"][0])
    draws = ELBO(4000).draw(toy, guide, toy.x)
    exact, estimate = draws.kl(), draws.kl(closed_form=False)
    assert exact.total.std(0).max() < 1e-12  # every particle has the same
    z_test(estimate.total, exact.total[0])
    z_test(estimate.per_layer, exact.per_layer[0])
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(estimate.total, exact.total[0].flip(0))  # another sequence's


def test_the_closed_form_of_two_normals_is_the_formula():
    toy = LinearGaussian()
    guide = FixedGuide(torch.randn(4, *toy.z_shape, dtype=torch.float64), torch.full((4, *toy.z_shape), 0.3).double())
    torch.testing.assert_close(ELBO().terms(toy, guide, toy.x).kl, toy.kl(guide.mu, guide.sigma))


def test_only_the_layer_that_left_the_prior_has_kl():
    toy = LinearGaussian(z_shape=Z_SHAPE)
    mu = zeros(4, *Z_SHAPE)
    mu[:, 1] = 0.5
    per_layer = ELBO().terms(toy, FixedGuide(mu, torch.ones_like(mu)), toy.x).kl_per_layer
    torch.testing.assert_close(per_layer, torch.tensor([[0.0, 0.5**2 * 6 / 2]]).double().expand(4, 2))


class Offering(dist.Normal):
    """A distribution that offers a split of its own, against normal priors alone."""

    def kl_per_layer(self, prior):
        if not isinstance(prior, dist.Normal):
            raise NotImplementedError
        return torch.tensor([1.0, 2.0]).expand(*self.batch_shape, 2)


def test_a_distribution_may_offer_its_split():
    q, z = Offering(zeros(4), 1.0), zeros(4)
    kl = divergence(q, dist.Normal(zeros(4), 1.0), z)
    assert kl.closed_form
    assert kl.total.tolist() == [3.0] * 4
    assert kl.per_layer.tolist() == [[1.0, 2.0]] * 4
    for other in (divergence(q, dist.Laplace(zeros(4), 1.0), z), divergence(q, q, z, closed_form=False)):
        assert other.per_layer is None
        assert other.total[0] != 3.0


class TwoSites(nn.Module):
    """z and then y given z, in the guide and in the model."""

    def __init__(self, observed):
        super().__init__()
        self.observed = observed

    def forward(self, x):
        with pyro.plate("sequences", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(zeros(2) + 0.3 * (not self.observed), 1.0).to_event(1))
            y = pyro.sample("y", dist.Normal(z * (1 + 0.5 * self.observed), 1.0).to_event(1))
            if self.observed:
                pyro.sample("x", dist.Normal(y, 1.0).to_event(1), obs=x)


def test_several_sites_are_estimated_together():
    x = torch.randn(4, 2, dtype=torch.float64)
    terms = ELBO(20_000).terms(TwoSites(True), TwoSites(False), x)
    assert not terms.kl_closed_form
    assert terms.kl_per_layer is None
    # KL of z is 0.3² / 2 a dimension; of y given z it is E[(z / 2)²] / 2 with z ~ N(0.3, 1)
    expected = 2 * (0.3**2 / 2 + 0.25 * (1 + 0.3**2) / 2)
    torch.testing.assert_close(terms.kl, torch.full((4,), expected).double(), atol=0.05, rtol=0)


def test_a_masked_out_site_has_no_kl_either():
    """A closed form would not know of the mask, and the sequence that is left out would count."""
    toy, guide = toy_with(PRIORS["normal"][0])
    left_out = torch.tensor([True, True, False, True])
    terms = ELBO(3).terms(poutine.mask(toy, mask=left_out), poutine.mask(guide, mask=left_out), toy.x)
    assert (terms.bound != 0).tolist() == left_out.tolist()
    assert (terms.kl != 0).tolist() == left_out.tolist()
    assert not terms.kl_closed_form
