"""The parameters that the learned Gaussian prior shares."""

import pytest
import torch

from ltm_pyro import InputError
from ltm_pyro.models.priors import LearnedGaussianPrior


@pytest.mark.parametrize(("unit", "own"), [("z", 1), ("layer", 2), ("thought", 6), ("dimension", 24)])
def test_every_unit_has_one_mean_and_one_scale(unit, own):
    prior = LearnedGaussianPrior((2, 3, 4), unit=unit)
    assert prior.mu.numel() == prior.log_sigma.numel() == own
    with torch.no_grad():
        prior.mu.normal_()
    assert len(prior().mean.unique()) == own


def test_it_starts_at_the_standard_normal():
    p = LearnedGaussianPrior((2, 3, 4))()
    assert torch.equal(p.mean, torch.zeros(2, 3, 4))
    assert torch.equal(p.variance, torch.ones(2, 3, 4))


def test_an_unknown_unit_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="'word': expected one of z, layer, thought, dimension"):
        LearnedGaussianPrior((1, 1, 2), unit="word")
