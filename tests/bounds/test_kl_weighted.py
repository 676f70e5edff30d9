"""The KL-weighted ELBO is the ELBO at weight one, and is kept out of every table."""

import pytest
import torch
from runs import TINY, arguments
from toys import FixedGuide

from ltm_pyro import ELBO, AbstractBound, InputError, KLWeighted
from ltm_pyro.models.exact import LinearGaussian
from ltm_pyro.training.blueprint import assemble
from ltm_pyro.training.run import run_parser


@pytest.fixture
def fitted():
    toy = LinearGaussian()
    mu = torch.randn(len(toy.x), *toy.z_shape, dtype=torch.float64)
    return toy, FixedGuide(mu, torch.rand_like(mu) + 0.5), toy.x


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0, 3.0])
def test_it_is_the_likelihood_less_the_weighted_kl(fitted, weight):
    toy, guide, x = fitted
    torch.manual_seed(0)
    terms = KLWeighted(weight, particles=3).terms(toy, guide, x=x)
    torch.manual_seed(0)
    elbo = ELBO(particles=3).terms(toy, guide, x=x)
    torch.testing.assert_close(terms.objective, elbo.objective + (1 - weight) * elbo.kl)
    torch.testing.assert_close(terms.elbo, elbo.elbo)


def test_it_is_no_bound_by_type():
    assert not isinstance(KLWeighted(), AbstractBound)
    with pytest.raises(InputError, match="kl_weight=-1"):
        KLWeighted(-1)


def test_tables_fit_the_posterior_to_a_bound():
    parser = run_parser()
    words = [*arguments(TINY), "--fast.bound", "KLWeighted", "--fast.bound.kl_weight", "0.1"]
    blueprint = assemble(parser, parser.parse_args(words), vocabulary=270, begin=0)
    assert isinstance(blueprint.fast.bound, KLWeighted)
    patient = blueprint.with_fast_steps(5).fast
    assert isinstance(patient.bound, ELBO)
    assert patient.steps == 5
    assert isinstance(blueprint.fast.bound, KLWeighted)
