"""Annealed chains: temperatures, weights where they are known without a chain, and step sizes."""

from itertools import pairwise

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from toys import FixedGuide

from ltm_pyro import InputError
from ltm_pyro.bounds.annealing import Annealing, points
from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.tempered_path import TemperedPath
from ltm_pyro.models.exact import FiniteMixture


def annealing(toy, temperatures=6, guide=None, chains=3, tuning=10, listener=None):
    path = TemperedPath(toy, guide, {"x": toy.x}, chains)
    return Annealing(path, temperatures, "sigmoid", 3, tuning, listener)


def wide_guide(toy):
    mu = toy.posterior_mean(toy.x).view(-1, *toy.z_shape).detach() + 0.2
    return FixedGuide(mu, torch.full_like(mu, 1.1))


@pytest.mark.parametrize("schedule", ["sigmoid", "linear"])
@pytest.mark.parametrize("temperatures", [1, 2, 7, 50])
def test_temperatures_rise_from_0_to_1_and_look_the_same_from_both_ends(schedule, temperatures):
    betas = points(temperatures, schedule)
    assert (betas[0], betas[-1], len(betas)) == (0, 1, temperatures + 1)
    assert all(low < high for low, high in pairwise(betas))
    assert betas == pytest.approx([1 - beta for beta in reversed(betas)])


def test_the_sigmoid_is_slower_at_the_ends_than_in_the_middle():
    betas = points(20, "sigmoid")
    assert betas[1] - betas[0] < 0.3 * (betas[11] - betas[10])


@torch.no_grad()
def test_a_point_holds_the_densities_and_their_slopes(toy):
    path = TemperedPath(toy, None, {"x": toy.x}, 3)
    point = path.at(path.start()[0])
    shaped = point.z.view(3, len(toy.x), *toy.z_shape)
    prior, mean = toy.prior().log_prob(shaped), point.z @ toy.weight.T + toy.bias
    torch.testing.assert_close(point.log_start, prior)
    torch.testing.assert_close(point.log_ratio, dist.Normal(mean, toy.noise).log_prob(toy.x).sum(-1))
    torch.testing.assert_close(point.start_slope, -point.z)
    torch.testing.assert_close(point.ratio_slope, (toy.x - mean) @ toy.weight / toy.noise**2)


@torch.no_grad()
def test_from_a_guide_the_path_ends_at_the_same_joint_density(toy):
    guide = wide_guide(toy)
    path, prior_path = (TemperedPath(toy, q, {"x": toy.x}, 3) for q in (guide, None))
    z, spread = path.start()
    here, there = path.at(z), prior_path.at(z)
    torch.testing.assert_close(here.log_density(1.0), there.log_density(1.0))
    torch.testing.assert_close(here.slope(1.0), there.slope(1.0))
    torch.testing.assert_close(here.slope(0.0), (guide.mu.flatten(1) - z) / 1.1**2)
    torch.testing.assert_close(spread, torch.full_like(spread, 1.1))


@torch.no_grad()
def test_a_single_interval_is_importance_sampling(toy):
    guide, run = wide_guide(toy), annealing(toy, 1, wide_guide(toy))
    torch.manual_seed(1)
    forward = run.forward()
    torch.manual_seed(1)
    torch.testing.assert_close(forward.log_weight, Draws(toy, guide, (), {"x": toy.x}, 3).log_weight)
    assert forward.acceptance.isnan().all()
    z = torch.randn(3, len(toy.x), toy.size, dtype=torch.float64)
    torch.testing.assert_close(run.backward(z).log_weight, run.path.at(z).log_ratio)


@pytest.mark.parametrize("temperatures", [1, 2, 9])
@torch.no_grad()
def test_every_weight_is_the_evidence_where_the_path_stands_still(temperatures, toy):
    """At the exact posterior w(z) is the evidence everywhere, so that the widths of the intervals must add up to 1."""
    run = annealing(toy, temperatures, toy.exact_guide())
    z, _ = run.path.start()
    for chains in (run.forward(), run.backward(z)):
        torch.testing.assert_close(chains.log_weight, toy.evidence(toy.x).expand(3, -1), atol=1e-9, rtol=0)


@torch.no_grad()
def test_step_sizes_fall_towards_the_posterior_and_meet_their_acceptance(toy):
    run = annealing(toy, 60, chains=32, tuning=40)
    assert run.steps.shape == (40, len(toy.x))
    assert (run.steps[-5:].mean(0) < 0.7 * run.steps[:5].mean(0)).all()
    for chains in (run.forward(), run.backward(run.path.start()[0])):
        assert ((chains.acceptance > 0.5) & (chains.acceptance < 0.8)).all()


@torch.no_grad()
def test_step_sizes_are_found_once(toy):
    run = annealing(toy)
    before = run.steps.clone()
    run.forward(), run.backward(run.path.start()[0])
    assert torch.equal(run.steps, before)


@torch.no_grad()
def test_a_listener_hears_every_transition(toy):
    heard = []
    run = annealing(toy, 4, tuning=5, listener=lambda *told: heard.append(told))
    assert heard == [("tuning", done, len(heard)) for done in range(1, len(heard) + 1)]
    heard.clear()
    run.forward(), run.backward(run.path.start()[0])
    assert heard == [(name, done, 3) for name in ("forward", "backward") for done in (1, 2, 3)]


@torch.no_grad()
def test_a_point_out_of_the_finite_numbers_has_no_density(toy):
    path = TemperedPath(toy, None, {"x": toy.x}, 2)
    z, _ = path.start()
    z[0, 1, 2], z[1, 0, 0] = torch.nan, torch.inf
    assert path.at(z).log_start.isneginf().tolist() == [[False, True, False, False], [True, False, False, False]]


# ---- what has no path


def gamma(x=None, **_):
    with pyro.plate("sequences", len(x), dim=-1):
        z = pyro.sample("z", dist.Gamma(2.0, 1.0).expand((2,)).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)


@pytest.mark.parametrize("model", [FiniteMixture(), gamma], ids=["discrete", "positive"])
def test_sites_that_are_not_over_all_real_numbers_are_refused(model):
    with pytest.raises(InputError, match=r"site 'z' from .* needs continuous sites over all real numbers"):
        TemperedPath(model, None, {"x": torch.randn(4, 3)[:, : 2 if model is gamma else 3]}, 2)


def test_a_scaled_model_is_refused(toy):
    with pytest.raises(InputError, match="is scaled"):
        TemperedPath(poutine.scale(toy, 2.0), None, {"x": toy.x}, 2)


def test_a_model_without_data_is_refused(toy):
    with pytest.raises(InputError, match="nothing is observed"):
        TemperedPath(toy, None, {"batch_size": 3}, 2)


def test_a_model_without_latent_sites_is_refused(toy):
    with pytest.raises(InputError, match="no latent site"):
        TemperedPath(poutine.condition(toy, {"z": torch.zeros(4, *toy.z_shape).double()}), None, {"x": toy.x}, 2)


def test_a_guide_with_a_site_of_its_own_is_refused(toy):
    def guide(x=None, **_):
        with pyro.plate("sequences", len(x), dim=-1):
            u = pyro.sample("u", dist.Normal(torch.zeros(toy.z_shape).double(), 1.0).to_event(3))
            pyro.sample("z", dist.Normal(u, 1.0).to_event(3))

    pyro.enable_validation(False)
    with pytest.raises(InputError, match=r"the guide samples \['u', 'z'\], the model \['z'\]"):
        TemperedPath(toy, guide, {"x": toy.x}, 2).start()
