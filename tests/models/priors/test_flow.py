"""Flow priors, and the optional package that they need."""

import sys

import pytest
import torch
from torch.distributions import Distribution

from ltm_pyro import InputError
from ltm_pyro.models.priors import CouplingFlowPrior, SplineFlowPrior
from ltm_pyro.optional import import_zuko

FLOWS = [CouplingFlowPrior, SplineFlowPrior]
every_flow = pytest.mark.parametrize("make", FLOWS, ids=lambda make: make.__name__)


def forget_zuko(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "zuko"]:
        monkeypatch.delitem(sys.modules, name)


@every_flow
def test_its_map_is_inverted_exactly(make):
    prior = make((2, 2, 3)).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    f, noise = prior.flow.transform(), torch.randn(50, 12, dtype=torch.float64)
    torch.testing.assert_close(f(f.inv(noise)), noise, rtol=0, atol=1e-9)
    assert (f(noise) - noise).abs().amax(0).min() > 0.01  # every dimension is moved


@every_flow
def test_dimensions_of_all_thoughts_meet(make):
    prior = make((2, 2, 2), transforms=2).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    z = torch.randn(8, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda z: prior().log_prob(z.view(2, 2, 2)), z)
    assert hessian.abs().min() > 0


def test_a_spline_moves_nothing_beyond_its_bound():
    prior = SplineFlowPrior((1, 1, 2), bound=2.0).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    f = prior.flow.transform()
    outside = torch.tensor([[2.5, -3.0]], dtype=torch.float64)
    torch.testing.assert_close(f(outside), outside)
    assert (f(outside / 4) - outside / 4).abs().max() > 0.01


@every_flow
def test_without_zuko_it_says_how_to_get_it(make, monkeypatch):
    forget_zuko(monkeypatch)
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(InputError, match=r"pip install 'ltm-pyro\[flows\]'"):
        make((1, 1, 2))


def test_its_import_changes_nothing_for_others(monkeypatch):
    forget_zuko(monkeypatch)
    before = dict(vars(Distribution))
    assert import_zuko().__name__ == "zuko"
    assert Distribution._validate_args is True
    assert dict(vars(Distribution)) == before


@every_flow
@pytest.mark.parametrize("wrong", [{"transforms": 0}, {"hidden": 0}])
def test_sizes_that_are_not_positive_are_refused(make, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}=0"):
        make((1, 1, 2), **wrong)


@pytest.mark.parametrize("wrong", [{"bins": 1}, {"bound": 0.0}, {"bound": float("nan")}])
def test_a_spline_without_pieces_or_room_is_refused(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}="):
        SplineFlowPrior((1, 1, 2), **wrong)
