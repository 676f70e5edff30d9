"""The autoregressive prior's order."""

import pytest
import torch

from ltm_pyro import InputError
from ltm_pyro.models.priors import AutoregressivePrior


@pytest.fixture
def prior():
    prior = AutoregressivePrior((2, 3, 4), width=16, blocks=2, heads=2).double()
    with torch.no_grad():
        prior.head.linear.weight.mul_(100)
    return prior


def test_a_thought_depends_on_all_those_before_it_and_on_none_after(prior):
    z = torch.randn(6, 4, dtype=torch.float64)
    before = prior.conditionals(z[:-1])
    for changed in range(6):
        other = z.clone()
        other[changed] += 1
        after = prior.conditionals(other[:-1])
        for moment in ("loc", "scale"):
            moves = (getattr(after, moment) - getattr(before, moment)).abs().amax(-1)  # (N,)
            assert (moves[: changed + 1] == 0).all()
            assert (moves[changed + 1 :] > 1e-4).all()


def test_its_density_is_the_product_of_what_is_emitted_one_by_one(prior):
    z = prior().sample((5,))
    vectors = z.flatten(1, 2)
    one_by_one = [prior.conditionals(vectors[:, :n]).log_prob(vectors[:, : n + 1])[:, -1].sum(-1) for n in range(6)]
    torch.testing.assert_close(prior().log_prob(z), sum(one_by_one))


@pytest.mark.parametrize("sizes", [{"width": 18}, {"width": 0}, {"blocks": 0}, {"heads": 0}, {"heads": -2}])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(InputError, match="multiple of 2 x heads"):
        AutoregressivePrior((1, 2, 2), **sizes)
