"""The flow guide: what f is, what learns it, and what it adds to its base."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from gaussians import covariance, with_precision
from pyro import poutine

from ltm_pyro import (
    ELBO,
    DualRateSVI,
    FastLoop,
    FlowGuide,
    InputError,
    LowRankGuide,
    MeanFieldGuide,
    SlowStep,
)

Z_SHAPE = (2, 1, 2)


def wild(**arguments):
    """A guide whose flow is far from the identity, with rows in random places."""
    guide = FlowGuide(Z_SHAPE, transforms=3, hidden=8, **arguments).double()
    guide.start(torch.zeros(3, 5, dtype=torch.long), prior=dist.Normal(torch.zeros(Z_SHAPE).double(), 1.0).to_event(3))
    with torch.no_grad():
        for tensor in (*guide.parameters(), *guide.local_parameters()):
            tensor.add_(0.4 * torch.randn_like(tensor))
    return guide


def jacobian(guide, u):
    """∂f/∂u at one point, shape (n, n), by automatic differentiation."""
    return torch.autograd.functional.jacobian(guide.inverse().inv, u)


def test_the_density_is_the_bases_divided_by_the_determinant():
    guide = wild()
    u = guide.base.posterior().sample()
    z = guide.inverse().inv(u.flatten(1)).view_as(u)
    expected = [
        guide.base.posterior().log_prob(u)[row] - jacobian(guide, u[row].flatten()).det().abs().log()
        for row in range(3)
    ]
    torch.testing.assert_close(guide.posterior().log_prob(z), torch.stack(expected))
    assert (guide.base.posterior().log_prob(u) - torch.stack(expected)).abs().min() > 1e-3


def test_it_starts_close_to_the_identity_and_all_of_it_learns():
    guide = FlowGuide(Z_SHAPE).double()
    u = torch.randn(5, 4, dtype=torch.float64)
    z = guide.inverse().inv(u)
    assert 0 < (z - u).abs().max() < 0.05
    (z**2).sum().backward()
    assert all((parameter.grad != 0).any() for parameter in guide.parameters())


@pytest.mark.parametrize("base", ["MeanFieldGuide", "ltm_pyro.guides.LowRankGuide", LowRankGuide])
def test_the_base_is_a_name_a_path_or_a_callable(base):
    guide = FlowGuide(Z_SHAPE, base=base)
    assert type(guide.base).__name__ == (base if isinstance(base, str) else base.__name__).rpartition(".")[2]
    assert FlowGuide(Z_SHAPE, base="LowRankGuide", options={"rank": 2}).base.rank == 2


def test_a_single_dimension_has_a_flow_too():
    guide = FlowGuide((1, 1, 1))
    guide.start(torch.zeros(2, 5, dtype=torch.long))
    assert guide(torch.zeros(2, 5)).shape == (2, 1, 1, 1)
    assert guide.posterior().log_prob(guide()).shape == (2,)


def test_a_learned_flow_goes_beyond_its_base():
    """The flow learns the direction in which all posteriors are correlated, which the mean field cannot."""
    precision = 1.5 * torch.eye(4, dtype=torch.float64) + 3
    toy = with_precision(precision, Z_SHAPE, batch=16)
    toy.requires_grad_(False)
    torch.manual_seed(0)
    guide = FlowGuide(Z_SHAPE, transforms=4, hidden=8).double()
    svi = DualRateSVI(toy, guide, FastLoop(ELBO(4), 6, 0.3), SlowStep(ELBO(8), 0.03, weight_decay=0.0))
    for _ in range(60):
        svi.step(toy.x)
    FastLoop(ELBO(8), 100, 0.2, 0.01).fit(toy, guide, toy.x)
    plain = MeanFieldGuide(Z_SHAPE)
    FastLoop(ELBO(8), 100, 0.2, 0.01).fit(toy, plain, toy.x)
    evidence = toy.evidence(toy.x)
    gaps = [(evidence - ELBO(2000).terms(toy, one, x=toy.x).bound.detach()).mean() for one in (guide, plain)]
    assert gaps[0] > -0.02
    assert gaps[0] < 0.5 * gaps[1]


def test_its_base_alone_is_a_gaussian_and_it_is_not():
    guide = wild()
    assert torch.isfinite(covariance(guide.base.posterior())).all()
    z = guide.posterior().sample((50_000,)).flatten(2)
    skew = (((z - z.mean(0)) / z.std(0)) ** 3).mean(0).abs().max()
    u = guide.base.posterior().sample((50_000,)).flatten(2)
    plain = (((u - u.mean(0)) / u.std(0)) ** 3).mean(0).abs().max()
    assert skew > 0.1 > plain


def test_its_repr_draws_nothing():
    guide = FlowGuide(Z_SHAPE)
    pyro.set_rng_seed(0)
    before = torch.get_rng_state()
    assert repr(guide).startswith("FlowGuide(MeanFieldGuide")
    assert torch.equal(before, torch.get_rng_state())


def test_importing_it_leaves_validation_as_it_was():
    FlowGuide(Z_SHAPE)
    with pytest.raises(ValueError, match="scale"):
        torch.distributions.Normal(0.0, -1.0)


def test_it_samples_where_autocast_is_on():
    guide = FlowGuide(Z_SHAPE)
    x = torch.zeros(3, 5, dtype=torch.long)
    guide.start(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        site = poutine.trace(guide).get_trace(x).nodes["z"]
        log_q = site["fn"].log_prob(site["value"])
    torch.testing.assert_close(log_q, guide.posterior().log_prob(site["value"]))
    assert log_q.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"transforms": 0}, "transforms=0"),
        ({"hidden": 0}, "hidden=0"),
        ({"base": "NoGuide"}, "base='NoGuide' is no guide of ltm_pyro"),
        ({"base": "nowhere.Guide"}, "base='nowhere.Guide' is no guide of ltm_pyro"),
        ({"base": "subprocess.getoutput"}, "base='subprocess.getoutput' is no guide of ltm_pyro"),
        ({"base": "ltm_pyro.guides.flow.math.prod"}, "base='ltm_pyro.guides.flow.math.prod' is no guide of ltm_pyro"),
        ({"base": "MAPGuide"}, "cannot be the base of a flow"),
        ({"base": "LaplaceGuide"}, "cannot be the base of a flow"),
        ({"base": "CategoricalGuide"}, "cannot be the base of a flow"),
        ({"base": "EmptyGuide"}, "cannot be the base of a flow"),
        ({"options": {"rank": 2}}, "cannot be made with"),
        ({"base": "LowRankGuide", "options": {"rank": 0}}, "rank=0"),
    ],
)
def test_what_does_not_serve_is_refused_by_name(arguments, message):
    with pytest.raises(InputError, match=message):
        FlowGuide(Z_SHAPE, **arguments)


def test_without_zuko_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zuko", None)
    with pytest.raises(InputError, match=r"pip install 'ltm-pyro\[flows\]'"):
        FlowGuide(Z_SHAPE)
