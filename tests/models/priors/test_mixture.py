"""Mixtures: what a component is chosen for, and how the Vamp prior differs."""

import pyro.distributions as dist
import pytest
import torch

from ltm_pyro import InputError
from ltm_pyro.bounds.divergence import divergence
from ltm_pyro.models.priors import MixturePrior, VampPrior

UNITS = ["z", "layer", "thought"]


def two_places(unit):
    """Components at -5 and 5, so that a sample shows which ones were chosen."""
    prior = MixturePrior((2, 2, 3), components=2, unit=unit)
    with torch.no_grad():
        place = torch.tensor([-5.0, 5.0]).view(2, *[1] * (3 - prior.units))
        prior.mu.copy_(place.expand_as(prior.mu))
    return prior


@pytest.mark.parametrize(("unit", "choices"), [("z", 2), ("layer", 4), ("thought", 16)])
def test_a_component_is_chosen_for_each_unit(unit, choices):
    signs = two_places(unit)().sample((500,)).sign()
    assert (signs == signs[..., :1]).all()  # within a thought vector there is one choice
    assert len(signs[..., 0].flatten(1).unique(dim=0)) == choices


@pytest.mark.parametrize("unit", UNITS)
def test_its_density_is_the_sum_over_the_components_of_every_unit(unit):
    prior = MixturePrior((2, 2, 3), components=2, unit=unit, spread=0.9).double()
    with torch.no_grad():
        prior.logits.normal_()
        prior.log_sigma.normal_()
    z = torch.randn(5, 2, 2, 3, dtype=torch.float64)
    units = prior.units
    each = dist.Normal(prior.mu, prior.log_sigma.exp()).log_prob(z.unsqueeze(1 + units))  # (5, *units, C, *unit)
    each = each.flatten(2 + units).sum(-1) + prior.logits.log_softmax(-1)
    torch.testing.assert_close(prior().log_prob(z), each.logsumexp(-1).view(5, -1).sum(-1))


@pytest.mark.parametrize(("unit", "splits"), [("z", False), ("layer", True), ("thought", True)])
def test_a_kl_is_told_layer_by_layer_where_the_layers_are_independent(unit, splits):
    q = dist.Normal(torch.zeros(4, 2, 2, 3), 1.0).to_event(3)
    kl = divergence(q, MixturePrior((2, 2, 3), unit=unit)(), q.sample((5,)))
    assert not kl.closed_form
    assert kl.total.shape == (5, 4)
    assert (kl.per_layer is not None) == splits
    if splits:
        torch.testing.assert_close(kl.per_layer.sum(-1), kl.total)


def test_a_vamp_prior_weighs_its_components_alike_unless_told_otherwise():
    assert {name for name, _ in VampPrior((1, 1, 2)).named_parameters()} == {"mu", "log_sigma"}
    prior = VampPrior((1, 1, 2), learn_weights=True)
    assert {name for name, _ in prior.named_parameters()} == {"mu", "log_sigma", "logits"}
    mixture = MixturePrior((1, 1, 2), components=16)
    mixture.load_state_dict(prior.state_dict())
    z = torch.randn(5, 1, 1, 2)
    assert torch.equal(mixture().log_prob(z), prior().log_prob(z))


@pytest.mark.parametrize("make", [MixturePrior, VampPrior])
@pytest.mark.parametrize("wrong", [{"components": 0}, {"spread": 0.0}, {"spread": 1.0}, {"spread": float("nan")}])
def test_what_makes_no_mixture_is_refused(make, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}="):
        make((1, 1, 2), **wrong)


def test_an_unknown_unit_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="'word': expected one of z, layer, thought"):
        MixturePrior((1, 1, 2), unit="word")
